"""Counts the answers that were found to be right, by schema and by who got them, and says so at the end of the run.

`make test-contracts` loads it as a plugin.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

VALID: Counter[tuple[str, str]] = Counter()
"""(schema, who) -> answers."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    who = sorted({name for _, name in VALID})
    if not who:
        return
    terminalreporter.section("answers valid against the contract")
    terminalreporter.write_line(f"{'schema':<24}" + "".join(f"{name:>12}" for name in who))
    for schema in sorted({name for name, _ in VALID}):
        terminalreporter.write_line(f"{schema:<24}" + "".join(f"{VALID[schema, name]:>12}" for name in who))
    totals = [sum(count for (_, each), count in VALID.items() if each == name) for name in who]
    terminalreporter.write_line(f"{'all':<24}" + "".join(f"{total:>12}" for total in totals))
