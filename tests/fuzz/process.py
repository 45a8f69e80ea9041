"""One target in a process of its own.

python -m tests.fuzz.process TARGET TALLY OPTION...    under atheris, with these options of libFuzzer, until it ends
python -m tests.fuzz.process TARGET --replay FILE      one input again, without atheris
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz.tally import Tally

if TYPE_CHECKING:
    from tests.fuzz.targets import Target

WATCHED = (
    "core.domain.documents",
    "core.domain.query",
    "core.domain.versions",
    "core.store.predicates",
    "tests.support.evaluator",
)
"""Modules whose branches steer the search."""

OUR_SHARE = 0.5
"""How many of the changes are ours (mutations.py); the others are libFuzzer's."""


def main(name: str, rest: list[str]) -> None:
    if rest[0] == "--replay":
        _replay(name, Path(rest[1]))
    else:
        _fuzz(name, Path(rest[0]), rest[1:])


def _replay(name: str, file: Path) -> None:
    """Raises what the input brings about."""
    with import_module("tests.fuzz.targets").TARGETS[name]() as target:
        target(file.read_bytes())


def _fuzz(name: str, tally_file: Path, options: list[str]) -> None:
    """Does not return: libFuzzer ends the process, with code 0 if nothing was found."""
    import atheris

    with atheris.instrument_imports(include=list(WATCHED)):
        targets = import_module("tests.fuzz.targets")  # not before: what is imported already goes unwatched

    def mutate(raw: bytes, longest: int, seed: int) -> bytes:
        source = random.Random(seed)
        mutated: bytes
        if source.random() < OUR_SHARE:
            mutated = targets.MUTATIONS[name](raw, longest, source)
        else:
            mutated = atheris.Mutate(raw, longest)
        return mutated

    with targets.TARGETS[name]() as target:
        atheris.Setup([sys.argv[0], *options], _counted(target, Tally(tally_file)), custom_mutator=mutate)
        atheris.Fuzz()


def _counted(target: Target, tally: Tally) -> Callable[[bytes], None]:
    def counted(raw: bytes) -> None:
        tally.began()
        tally.ended(checked=target(raw))

    return counted


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
