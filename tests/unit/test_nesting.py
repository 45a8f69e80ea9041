"""A body that is nested deep cannot harm the process that reads it, whatever it is read and written with.

In a process of its own: what goes wrong here is no exception but the end of it.
"""

from __future__ import annotations

import subprocess
import sys

from tests.architecture.documents import ROOT

BODIES = """
import random
from core.domain.documents import canonical_digest, parse_document
random.seed(20261122)
for _ in range(400):
    depth, width = random.randrange(40, 60), random.randrange(1, 260)
    tail = b"," + b",".join(b"%d" % number for number in range(width)) + b"]"
    levels = (b"]" if random.random() < 0.02 else tail for _ in range(depth))
    raw = b'{"given":' + b"[" * depth + b"0" + b"".join(levels) + b"}"
    canonical_digest(parse_document(raw).value)
"""
"""Lists within lists that each go on after the one inside, at depths a body may have."""


def test_reading_bodies_that_are_nested_deep_ends_well() -> None:
    done = subprocess.run([sys.executable, "-c", BODIES], cwd=ROOT, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
