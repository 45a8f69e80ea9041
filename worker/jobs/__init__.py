"""One job a file, each safe to run twice. This is the list of them."""

from __future__ import annotations

from collections.abc import Mapping

from core.domain.jobs import JobKind
from worker.jobs import (
    delete_versions,
    dispatch_runs,
    install_item,
    post_callback,
    send_mail,
    stop_run,
    undo_deletion,
    upload_version,
)
from worker.tools import Handler

HANDLERS: Mapping[JobKind, Handler] = {
    JobKind.DELETE_VERSIONS: delete_versions.run,
    JobKind.DELETE_FLOW: delete_versions.run,
    JobKind.UNDO_DELETION: undo_deletion.run,
    JobKind.SEND_MAIL: send_mail.run,
    JobKind.POST_CALLBACK: post_callback.run,
    JobKind.UPLOAD_VERSION: upload_version.run,
    JobKind.INSTALL_ITEM: install_item.run,
    JobKind.DISPATCH_RUNS: dispatch_runs.run,
    JobKind.STOP_RUN: stop_run.run,
}
