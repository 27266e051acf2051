"""Logs: one JSON object a line on standard error."""

import logging
import sys
from dataclasses import dataclass

import structlog


def configure_logs(service: str, level: str = "INFO") -> None:
    """
    Send our logs, and the warnings of libraries, to standard error.

    Args:
        service: Put into every line, such as `worker`.
        level: The least level that is logged; libraries log from WARNING on, unless it is DEBUG.
    """
    shared: list[structlog.typing.Processor] = [
        _Stamp(service),
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False, sort_keys=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level if level == "DEBUG" else logging.WARNING)
    own = logging.getLogger("roomstream")
    own.setLevel(level)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=_Ours(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


@dataclass(frozen=True)
class _Stamp:
    """Puts the service into every line, whichever thread writes it."""

    service: str

    def __call__(
        self, _: object, __: str, line: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        line["service"] = self.service
        return line


class _Ours:
    """All our modules log under one name, so that their level differs from the libraries'."""

    def __call__(self, *_: object) -> logging.Logger:
        return logging.getLogger("roomstream")
