"""These tests need a folder of exported workflows, so they are collected only where PENSTOCK_SAMPLES names one."""

from __future__ import annotations

import os

collect_ignore = [] if os.environ.get("PENSTOCK_SAMPLES") else ["test_samples.py"]
