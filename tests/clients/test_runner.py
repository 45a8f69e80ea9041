"""The runner that the documents show in JavaScript, run by Node."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.architecture.documents import blocks, read
from tests.support.machinery import Machinery
from tests.support.runner_process import running_runner, try_runner
from tests.support.tenants import SECRET, Tenant


@pytest.mark.needs_tools
async def test_the_javascript_of_the_document_runs(tenant: Tenant, machinery: Machinery, tmp_path: Path) -> None:
    [code] = blocks(read("docs/schedules.md"), "javascript")
    file = tmp_path / "runner.js"
    file.write_text(code)
    node = shutil.which("node")
    assert node is not None
    async with running_runner((node, str(file)), SECRET) as url:
        await try_runner(url, tenant, machinery)
