"""Imports without what a library picks up only because it is installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(package: str) -> Iterator[None]:
    """Lets a library be imported in the block as if its optional `package` were not installed, which can then be
    imported as ever. Only for the first import of both: what is there already stays as it is."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # the import system's sign for "there is none"
    try:
        yield
    finally:
        del sys.modules[package]
