"""What a check finds, and what it may look at."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runtime.permissions import (
    Access,
    operator_access,
    reviewer_access,
    trainer_access,
    worker_access,
)
from runtime.settings import KafkaSettings, SharedSettings

State = Literal["ok", "warning", "failed", "not checked"]
Role = Literal["worker", "trainer", "operator", "reviewer"]


@dataclass(frozen=True)
class Finding:
    """
    One line of an examination.

    Attributes:
        area: What was looked at, such as `topics`.
        state: How it is.
        says: What was found.
        next_step: What to do about it; empty where nothing is to be done, or `says` says it.
    """

    area: str
    state: State
    says: str
    next_step: str = ""


@dataclass(frozen=True)
class Deployment:
    """
    What is examined.

    Attributes:
        kafka: How to reach Kafka.
        shared: Store, cache and topic prefix.
        group: The workers' consumer group, as it is called on the broker.
        database: The trainer's SQLite file.
        role: What this machine and user are for; None: whatever they are allowed to be.
    """

    kafka: KafkaSettings
    shared: SharedSettings
    group: str
    database: Path
    role: Role | None = None

    def accesses(self) -> dict[str, Access]:
        """What each role, or the one chosen, does on the brokers."""
        prefix = self.shared.topic_prefix
        every = {
            "worker": worker_access(self.group),
            "trainer": trainer_access(prefix),
            "operator": operator_access(self.group),
            "reviewer": reviewer_access(),
        }
        return {self.role: every[self.role]} if self.role else every


Check = Callable[[Deployment], Iterator[Finding]]
