"""`python -m tests.fuzz [--seconds N] [--replay FILE]`: both targets one after the other, or one input again.

Ends with code 1 and keeps the input when there is one that a target cannot stand; a replay does while it still cannot.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import asyncpg

from cli.embedded.launch import Launch
from cli.embedded.ward import Ward, open_ward
from core.store.migrate import migrate
from tests.fuzz import seeds
from tests.fuzz.tally import Tally
from tests.support.servers import open_folder, running_postgres

FINDINGS = Path(__file__).parents[2] / ".fuzz"
"""Where inputs are kept that broke something: `front-crash-…`, `agreement-timeout-…`."""

FEWEST_SECONDS = 4
INPUT_SECONDS = 10
"""One input that takes longer is a finding, however busy the machine: a query is to be refused within 50 ms."""

GRACE_SECONDS = 30
"""For starting, and for an input under way at the end."""

OURS = ("PENSTOCK_", "DATABASE_", "REDIS_", "SMTP_")
"""Variables that would point a process at somebody's installation."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How one target is fuzzed: its share of the time, how long its inputs may get, and what it begins with."""

    share: float
    longest: int
    write_seeds: Callable[[Path], None]


PLANS: Mapping[str, Plan] = {
    "front": Plan(0.25, 8_192, seeds.write_front),
    "agreement": Plan(0.75, seeds.RANDOM_BYTES, seeds.write_agreement),
}


@dataclass(frozen=True, slots=True)
class Ground:
    """Where target processes run: they end with this one, and know one database."""

    ward: Ward
    environment: Mapping[str, str]

    async def run(self, name: str, *arguments: str, log: Path | None, seconds: float | None = None) -> int:
        """A process of this target to its end; returns its code. Raises TimeoutError if it takes longer."""
        command = (sys.executable, "-m", "tests.fuzz.process", name, *arguments)
        process = await self.ward.spawn(Launch(name, command, self.environment, log=log))
        async with asyncio.timeout(seconds):
            return await process.wait()


@dataclass(frozen=True, slots=True)
class Report:
    """What came of fuzzing one target. `edges` is None when libFuzzer did not say."""

    name: str
    seconds: float
    tally: Tally
    edges: int | None
    finding: Path | None


async def main(seconds: int, replayed: Path | None) -> int:
    async with _open_ground() as ground:
        if replayed is not None:
            return await _replay(ground, replayed)
        print(f"{'target':12}{'inputs':>12}{'checked':>12}{'rejected':>12}{'edges':>8}{'seconds':>9}", flush=True)
        for name, plan in PLANS.items():
            with tempfile.TemporaryDirectory(prefix="penstock-fuzz-") as room:
                report = await _fuzz(ground, name, plan, round(seconds * plan.share), Path(room))
                _print(report)
                if report.finding is not None:
                    await _tell(ground, report.finding)
                    return 1
                assert report.tally.checked, f"nothing was checked:\n{(Path(room) / 'log').read_text()[-2_000:]}"
    return 0


@asynccontextmanager
async def _open_ground() -> AsyncIterator[Ground]:
    with open_folder() as folder:
        async with running_postgres(folder) as url, open_ward() as ward:
            connection = await asyncpg.connect(url)
            try:
                await migrate(connection)
            finally:
                await connection.close()
            inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
            yield Ground(ward, {**inherited, "DATABASE_URL": url})


async def _fuzz(ground: Ground, name: str, plan: Plan, seconds: int, room: Path) -> Report:
    """Fuzzes one target from its seeds. Raises RuntimeError if its process ends badly without a finding."""
    corpus, dictionary, log = room / "corpus", room / "dictionary", room / "log"
    corpus.mkdir()
    plan.write_seeds(corpus)
    seeds.write_dictionary(dictionary)
    FINDINGS.mkdir(exist_ok=True)
    tally = Tally(room / "tally")
    options = [
        str(corpus),
        f"-dict={dictionary}",
        f"-max_total_time={seconds}",
        f"-max_len={plan.longest}",
        "-len_control=0",
        f"-timeout={INPUT_SECONDS}",
        f"-artifact_prefix={FINDINGS}/{name}-",
    ]
    began = time.monotonic()
    code = await ground.run(name, str(room / "tally"), *options, log=log, seconds=seconds + GRACE_SECONDS)
    told = log.read_text(errors="replace")
    found = re.search(r"Test unit written to (.+)", told)
    if code != 0 and found is None:
        raise RuntimeError(f"the process of {name} ended with code {code}:\n{told[-2_000:]}")
    covered = re.findall(r"\bcov: (\d+)", told)
    edges = int(covered[-1]) if covered else None
    return Report(name, time.monotonic() - began, tally, edges, Path(found[1]) if found else None)


def _print(report: Report) -> None:
    tally, edges = report.tally, "unknown" if report.edges is None else report.edges
    counts = f"{tally.inputs:>12,}{tally.checked:>12,}{tally.rejected:>12,}{edges:>8}"
    print(f"{report.name:12}{counts}{report.seconds:>9.0f}", flush=True)


async def _tell(ground: Ground, finding: Path) -> None:
    raw, shown = await asyncio.to_thread(finding.read_bytes), finding.relative_to(FINDINGS.parent)
    print(f"\nThis input broke it, {len(raw)} bytes, kept as {shown}:\n{raw!r}\n", flush=True)
    if await _replay(ground, finding) == 0:
        print("Tried once more, it does no harm: it took too long, or what it met depends on something else.")
    print(f"\nAgain: make fuzz FUZZ_REPLAY={shown}", flush=True)


async def _replay(ground: Ground, file: Path) -> int:
    """Tries one input without atheris. The process itself says on our terminal what went wrong."""
    code = await ground.run(file.name.partition("-")[0], "--replay", str(file), log=None, seconds=None)
    print(f"{file.name}: {'nothing goes wrong' if code == 0 else 'still goes wrong'}", flush=True)
    return min(code, 1)


def _file(text: str) -> Path:
    file = Path(text).resolve()
    if not file.is_file() or file.name.partition("-")[0] not in PLANS:
        raise argparse.ArgumentTypeError(f"{text} is no file whose name begins with {' or '.join(PLANS)}")
    return file


def _seconds(text: str) -> int:
    if not text.isdecimal() or int(text) < FEWEST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from {FEWEST_SECONDS}")
    return int(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=_seconds, default=60, help="how long in all; 60 if not given")
    parser.add_argument("--replay", type=_file, metavar="FILE", help="one input that was kept")
    given = parser.parse_args()
    if given.replay is None and find_spec("atheris") is None:
        sys.exit(
            f"penstock: fuzzing needs atheris, which has no wheel for Python {platform.python_version()} on "
            f"{platform.system()} {platform.machine()}; it has some for Python 3.11 to 3.13 on Linux x86_64, as in: "
            "make fuzz PYTHON=python3.11"
        )
    sys.exit(asyncio.run(main(given.seconds, given.replay)))
