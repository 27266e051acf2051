"""Logs: one JSON object a line on standard error."""

import logging
import sys
from dataclasses import dataclass

import structlog

from runtime.library_logs import tame_library_logs

_WITH_SECRETS = ("kafka", "aiokafka", "faust")
"""Their lines of level DEBUG hold passwords: settings as they are, bytes as they are sent."""


def configure_logs(service: str, level: str = "INFO", **facts: str) -> None:
    """
    Send our logs, and the warnings of libraries, to standard error.

    Args:
        service: Put into every line, such as `worker`.
        level: The least level that is logged; libraries log from WARNING on, unless it is DEBUG.
        facts: What else every line says, such as which worker of several it is.
    """
    shared: list[structlog.typing.Processor] = [
        _Stamp({"service": service, **facts}),
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
                _first_things_first,
                structlog.processors.JSONRenderer(ensure_ascii=False, sort_keys=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    tame_library_logs()
    root.setLevel(level if level == "DEBUG" else logging.WARNING)
    for library in _WITH_SECRETS:
        logging.getLogger(library).setLevel(logging.INFO if level == "DEBUG" else logging.WARNING)
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

    facts: dict[str, str]

    def __call__(
        self, _: object, __: str, line: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        return {**self.facts, **line}


def _first_things_first(
    _: object, __: str, line: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Order a line for people who read it: when, how bad, what, then the rest."""
    first = {name: line[name] for name in ("timestamp", "level", "event") if name in line}
    return {**first, **line}


class _Ours:
    """All our modules log under one name, so that their level differs from the libraries'."""

    def __call__(self, *_: object) -> logging.Logger:
        return logging.getLogger("roomstream")
