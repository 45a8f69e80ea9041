"""How the processes of Penstock log: one JSON object a line on stderr, or plain lines where a person is watching."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from cli.outlet import standard_error
from core.imports import without

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

with without("rich"):  # takes 3 MiB, and would only draw tracebacks that show local variables
    import structlog


def configure_logging(role: str) -> None:
    """Sends our own log from INFO on and that of the libraries from WARNING on to stderr, each line naming the role.

    Times are ISO 8601 in UTC. Tracebacks never show local variables: those hold bodies, addresses and keys.
    """

    def name_role(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {"role": role, **event}

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        name_role,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering: list[Processor]
    if sys.stderr.isatty():
        rendering = [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    else:
        rendering = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(standard_error()),
        cache_logger_on_first_use=True,
    )
    _route_libraries(shared, rendering)


def _route_libraries(shared: list[Processor], rendering: list[Processor]) -> None:
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler = logging.StreamHandler(standard_error())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared], processors=[remove, *rendering]
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
