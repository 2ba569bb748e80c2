"""JSON logs on stderr: one object a line, with service, instance, and the call or mapping at hand.

Whoever handles a call binds its ids once (:func:`bound`), and every line below carries them. On a terminal lines are
written for people. Values under names that mean a secret are masked, local variables are never shown, and the
libraries' loggers go through the same pipe.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from contextlib import AbstractContextManager
from typing import Any, TextIO

import structlog
from structlog.typing import Processor

from dialog_runtime.loglimit import RateLimit

LEVELS = ("debug", "info", "warning", "error")
"""What ``--log-level`` takes."""

_SECRETS = ("password", "credential", "secret", "authorization", "nonce_response", "token")
_MASK = "***"


def configure(service: str, instance: str, level: str = "info", stream: TextIO | None = None) -> None:
    """Send all logs of this process to ``stream`` (stderr), from ``level`` on. Call once, first of all."""
    stream = stream or sys.stderr
    structlog.contextvars.bind_contextvars(service=service, instance=instance)
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(stream.isatty(), {"service": service, "instance": instance}))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    _quieten(handler, level)


def silence() -> None:
    """Log nothing: for a command, which says itself in one line what went wrong, and whose output may be JSON."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def bound(**ids: object) -> AbstractContextManager[None]:
    """Let every line within carry ``ids``, such as ``call_id`` and ``aor``."""
    return structlog.contextvars.bound_contextvars(**ids)


def mask_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401
    """Mask every value whose name says that it is a secret."""
    for name, value in event.items():
        if any(word in name.lower() for word in _SECRETS) and value:
            event[name] = _MASK
    return event


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        mask_secrets,
    ]


def _formatter(terminal: bool, ids: dict[str, str]) -> logging.Formatter:
    def with_ids(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401
        # Contexts are copied per task; a line from a task made before the ids were bound has them too.
        for name, value in ids.items():
            event.setdefault(name, value)
        return event

    last: list[Processor]
    if terminal:
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        last = [renderer]
    else:
        last = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, with_ids, *last],
    )


def _quieten(handler: logging.Handler, level: str) -> None:
    # aiokafka writes whole records at debug level, and 14,000 error lines in an outage of two minutes.
    handler.addFilter(RateLimit("aiokafka"))
    logging.getLogger("aiokafka").setLevel("INFO" if level == "debug" else "WARNING")
    # aioice writes a line for each check of each candidate pair.
    for name in ("asyncio", "aioice", "aiortc"):
        logging.getLogger(name).setLevel("WARNING")
