"""`penstock marketplace` and `penstock admin artifact-key`: files checked without a server, and the rest with one."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.errors import StartError
from cli.main import penstock
from core.settings import Settings
from tests.cli.test_commands import Program, fact
from tests.support.api import Api
from tests.support.machinery import Machinery
from tests.support.market import Shop, make_item, open_shop, yank
from tests.support.tenants import Tenant


@pytest.fixture
def program(settings: Settings) -> Program:
    assert settings.database_url is not None
    return Program(settings.database_url)


@pytest.fixture
async def saved(anonymous: Api, tenant: Tenant, tmp_path: Path) -> tuple[Path, Path, Shop]:
    """An artifact and the public keys, as files."""
    shop = await open_shop(anonymous, tenant)
    file, keys = tmp_path / "orders.json", tmp_path / "keys.json"
    file.write_bytes((await shop.artifact(await make_item(tenant))).raw)
    keys.write_bytes((await anonymous.get("/.well-known/penstock-keys.json")).raw)
    return file, keys, shop


def verify(file: Path, keys: Path) -> Result:
    """With no server named anywhere."""
    return CliRunner().invoke(penstock, ["marketplace", "verify", str(file), "--keys", str(keys)], env={})


async def test_a_good_file_is_good(saved: tuple[Path, Path, Shop]) -> None:
    file, keys, shop = saved
    result = verify(file, keys)
    assert result.exit_code == 0, result.exception
    (item,) = await shop.items()
    assert fact(result.output, "digest") == item["digest"]
    assert fact(result.output, "key") == item["key_id"]
    assert (fact(result.output, "flow"), fact(result.output, "version")) == ("Orders", "1.0")
    assert f'"flow_id":{item["flow_id"]}' in result.output


async def test_a_file_that_was_tampered_with_is_not(saved: tuple[Path, Path, Shop]) -> None:
    file, keys, _ = saved
    good = file.read_bytes()
    for bad in (good.replace(b"Orders", b"orders", 1), good[:-1], good + b"\n", b"", b"{}"):
        file.write_bytes(bad)
        result = verify(file, keys)
        assert result.exit_code == 1
        assert isinstance(result.exception, StartError)
        assert str(result.exception).startswith(f"{file} is not good: ")


async def test_without_the_key_nothing_is_good(saved: tuple[Path, Path, Shop]) -> None:
    file, keys, _ = saved
    for other in (b"", b"{}", b'{"keys":[]}', b"[" * 100):
        keys.write_bytes(other)
        result = verify(file, keys)
        assert str(result.exception) == f"{keys} holds no Ed25519 public keys as JWKs."


async def test_what_a_company_sees_is_listed_and_installed(
    program: Program, saved: tuple[Path, Path, Shop], machinery: Machinery
) -> None:
    _, _, shop = saved
    company = str(shop.tenant.company_id)
    (item,) = await shop.items()
    assert item["digest"] in await program.run("marketplace", "list", company)
    assert item["digest"] not in await program.run("marketplace", "list", company, "--name", "nothing")
    made = await program.run("marketplace", "install", company, str(item["id"]), "--name", "Ours")
    await machinery.drain()
    assert (await shop.job(fact(made, "job")))["status"] == "completed"
    assert item["digest"] in await program.run("jobs", "show", fact(made, "job"))
    assert "Ours" in [flow["name"] for flow in (await shop.api.get("/api/v1/flows")).json["data"]]
    await yank(shop.tenant, item["id"], "It loses every second order.")
    assert "It loses every second order." in await program.run("marketplace", "list", company)
    refused = await program.try_("marketplace", "install", company, str(item["id"]))
    assert "was yanked" in str(refused.exception)
    await program.run("marketplace", "install", company, str(item["id"]), "--force")
    await machinery.drain()


async def test_keys_are_rotated_and_revoked(program: Program, saved: tuple[Path, Path, Shop], anonymous: Api) -> None:
    """The old file is good with the new keys; and with the old keys, but for those who ask for the newest."""
    file, keys, _ = saved
    made = fact(await program.run("admin", "artifact-key", "rotate"), "id")
    keys.write_bytes((await anonymous.get("/.well-known/penstock-keys.json")).raw)
    assert verify(file, keys).exit_code == 0
    listed = (await program.run("admin", "artifact-key", "list")).splitlines()
    assert [line.split()[0] for line in listed[1:]] == [made, str(int(made) - 1)]
    await program.run("admin", "artifact-key", "revoke", str(int(made) - 1))
    keys.write_bytes((await anonymous.get("/.well-known/penstock-keys.json")).raw)
    assert "which was revoked" in str(verify(file, keys).exception)
    again = await program.try_("admin", "artifact-key", "revoke", str(int(made) - 1))
    assert isinstance(again.exception, StartError)


async def test_other_installations_keys_are_trusted_from_a_file(
    program: Program, saved: tuple[Path, Path, Shop], tmp_path: Path
) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}')
    assert fact(await program.run("admin", "artifact-key", "trust", str(other)), "trusted") == "1"
    assert fact(await program.run("admin", "artifact-key", "trust", str(other)), "trusted") == "0"
    assert "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" in await program.run("admin", "artifact-key", "list")
