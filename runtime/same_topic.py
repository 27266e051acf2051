"""Whether topics are still those that a process began to read, and not others of their names."""

import contextlib
import os
import sys
import threading
import time

import structlog
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from runtime.kafka import kafka_arguments
from runtime.settings import KafkaSettings
from schemas.errors import ExitCode, TryAgain

_log = structlog.get_logger(__name__)

_FRESH_SECONDS = 1.0
_IDLE_SECONDS = 5.0
_REQUEST_MS = 5_000


class SameTopic:
    """
    Notices that a topic was deleted and created again.

    Our clients fetch by name: after the old topic's last position they would go on in the midst of the
    new one and skip what stands before. With the old topic the brokers delete what its readers have
    committed, so that a process that starts afresh begins where the new topic does.

    Args:
        kafka: How to reach Kafka.
        names: The topics' names on the broker.

    Attributes:
        identities: What tells each topic from another of its name; none where the brokers give none.

    Raises:
        TryAgain: The broker cannot be reached.
    """

    def __init__(self, kafka: KafkaSettings, *names: str) -> None:
        self._names = names
        self._looked_at = 0.0
        self._lock = threading.Lock()
        self._closed = threading.Event()
        try:
            self._admin = KafkaAdminClient(
                **kafka_arguments(kafka),
                request_timeout_ms=_REQUEST_MS,
                bootstrap_timeout_ms=_REQUEST_MS,
            )
            self.identities = self._found = self._look()
        except KafkaError as error:
            raise TryAgain(
                f"Kafka at {kafka.bootstrap_servers} does not describe {', '.join(names)}: {error}."
            ) from error
        threading.Thread(target=self._watch, name="same-topic", daemon=True).start()

    def check(self) -> None:
        """
        Look, unless that was tried within the last second. Call it before records count as handled.

        Raises:
            TryAgain: It is another topic: nothing that was read may be committed.
        """
        with self._lock:
            if time.monotonic() - self._looked_at >= _FRESH_SECONDS:
                with contextlib.suppress(KafkaError):  # whoever delivers finds that out
                    self._found = self._look()
                self._looked_at = time.monotonic()
            found = self._found  # perhaps by another thread, which is about to end the process
        for name in found.keys() & self.identities.keys():
            if found[name] == self.identities[name]:
                continue
            raise TryAgain(
                f"The topic {name} was deleted and created again. Positions in the old one mean "
                "nothing in the new one: the process ends, and starts again at the new one's beginning."
            )

    def close(self) -> None:
        """Look no more."""
        self._closed.set()
        with self._lock:
            self._admin.close()

    def _look(self) -> dict[str, str]:
        """The identity of each topic that is there now, if the brokers give any."""
        topics = self._admin.describe_topics(list(self._names))
        return {each["name"]: str(each["topic_id"]) for each in topics if each.get("topic_id")}

    def _watch(self) -> None:
        """End the process even if nothing arrives: beyond the new topic's end nothing would."""
        while not self._closed.wait(_IDLE_SECONDS):
            try:
                self.check()
            except TryAgain as error:
                _log.error("ended", why=str(error), exit_code=int(ExitCode.TRY_AGAIN))
                sys.stderr.flush()
                os._exit(ExitCode.TRY_AGAIN)
