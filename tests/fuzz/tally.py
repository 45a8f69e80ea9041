"""How far a fuzzing process has come. In a file, because libFuzzer ends its process without a last word."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

_LAYOUT = struct.Struct("=3Q")


class Tally:
    """Counts that another process can read, even while they rise and after their own process is gone."""

    def __init__(self, file: Path) -> None:
        if not file.exists():
            file.write_bytes(bytes(_LAYOUT.size))
        with file.open("r+b") as opened:
            self._memory = mmap.mmap(opened.fileno(), _LAYOUT.size)
        self._counts = memoryview(self._memory).cast("Q")

    def began(self) -> None:
        self._counts[0] += 1

    def ended(self, *, checked: bool) -> None:
        self._counts[1 if checked else 2] += 1

    @property
    def inputs(self) -> int:
        return self._counts[0]

    @property
    def checked(self) -> int:
        return self._counts[1]

    @property
    def rejected(self) -> int:
        """Inputs that are no query: refused by the parser, or too short to make one up from."""
        return self._counts[2]
