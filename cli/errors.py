"""What stops a command before its work begins."""

from __future__ import annotations


class StartError(Exception):
    """One line an operator can act on: what is wrong, where, and what would mend it. Shown without a traceback."""
