"""These tests need the folder with the contract's JSON Schemas, so they are collected only where PENSTOCK_CONTRACTS
names it."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("PENSTOCK_CONTRACTS") else ["test_*.py"]
