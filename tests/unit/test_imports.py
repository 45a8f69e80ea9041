"""A package is out of reach of what is imported in the block, and of nothing else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from core.imports import without

LIBRARY = """
try:
    import penstock_option
except ModuleNotFoundError:
    penstock_option = None
"""


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`penstock_library`, which takes `penstock_option` if there is one."""
    (tmp_path / "penstock_library.py").write_text(LIBRARY)
    (tmp_path / "penstock_option.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("penstock_library", "penstock_option"):
        sys.modules.pop(name, None)


def test_a_library_finds_no_option_and_others_do() -> None:
    with without("penstock_option"):
        assert import_module("penstock_library").penstock_option is None
    assert import_module("penstock_option").__name__ == "penstock_option"


def test_without_the_block_it_finds_it() -> None:
    assert import_module("penstock_library").penstock_option is not None


def test_what_was_imported_before_stays() -> None:
    option = import_module("penstock_option")
    with without("penstock_option"):
        assert import_module("penstock_library").penstock_option is option
    assert sys.modules["penstock_option"] is option


def test_an_import_that_fails_leaves_nothing_behind() -> None:
    with pytest.raises(ModuleNotFoundError, match="penstock_nothing"), without("penstock_option"):
        import_module("penstock_nothing")
    assert "penstock_option" not in sys.modules
