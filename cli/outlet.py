"""Standard output and error as a process may lose them: a closed terminal, a `| tee` that ended first."""

from __future__ import annotations

import io
import os
from typing import TextIO, cast


class Outlet(io.TextIOBase):
    """Writes each text at once and whole, so that lines of several processes do not mix.

    What cannot be written is dropped: a process that is told to stop must be able to, also when nobody reads what it
    says about it.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, text: str) -> int:
        try:
            os.write(self._descriptor, text.encode(errors="replace"))
        except OSError:  # there is nobody left to tell
            return 0
        return len(text)


def standard_output() -> TextIO:
    return cast(TextIO, Outlet(1))


def standard_error() -> TextIO:
    return cast(TextIO, Outlet(2))
