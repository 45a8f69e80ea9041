"""These tests send some thousand requests, so they are collected only where PENSTOCK_EXAMPLES says how many."""

from __future__ import annotations

import os

from tests.api.conftest import ground

__all__ = ["ground"]
"""A fixture, shared with the generated tests of the API."""

collect_ignore_glob = [] if os.environ.get("PENSTOCK_EXAMPLES") else ["test_*.py"]
