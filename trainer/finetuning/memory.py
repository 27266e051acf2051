"""What the trainer remembers of fine-tuning in its database, and when it begins another one."""

from datetime import datetime

import msgspec

from trainer.database import Database
from trainer.settings import TrainerSettings

_MEMORY, _WANTED = "fine-tuning", "fine-tuning wanted"


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is remembered.

    Attributes:
        job: The name of the one in hand; empty if there is none.
        why: What asked for it.
        encoding: What it starts from (`LiveRelease.encoding`).
        label: The number of the last label when the last one began.
        ended_at: When the last one ended, or the trainer first thought of it, in seconds since 1970.
        request: The last request of an operator that was taken up.
        day: The day (UTC) that `spent_seconds` is of.
        spent_seconds: The processor time that was taken on it.
    """

    job: str = ""
    why: str = ""
    encoding: str = ""
    label: int = 0
    ended_at: float = 0.0
    request: str = ""
    day: str = ""
    spent_seconds: float = 0.0

    def spent(self, now: datetime) -> float:
        """The processor time that was taken today, in seconds."""
        return self.spent_seconds if self.day == _day(now) else 0.0

    def spending(self, seconds: float, now: datetime) -> "Memory":
        """This, with more processor time taken."""
        spent = self.spent(now) + seconds
        return msgspec.structs.replace(self, day=_day(now), spent_seconds=spent)


def recall(database: Database) -> Memory:
    """What was remembered."""
    fact = database.fact(_MEMORY)
    return msgspec.json.decode(fact, type=Memory) if fact else Memory()


def remember(database: Database, memory: Memory) -> None:
    """Keep this; within a transaction."""
    database.remember(_MEMORY, msgspec.json.encode(memory))


def want(database: Database, why: str) -> None:
    """Ask for a fine-tuning, such as for one that was lost; within a transaction. Empty: no more."""
    database.remember(_WANTED, why.encode())


def wanted(database: Database) -> str:
    """Why one was asked for; empty if none was."""
    return (database.fact(_WANTED) or b"").decode()


def reason(settings: TrainerSettings, memory: Memory, last_label: int, now: datetime) -> str:
    """
    Why the number of labels or the time says that a fine-tuning is due; empty if it is not.

    Args:
        settings: How often.
        memory: Of the last one.
        last_label: The number of the last label that was learned.
        now: The time.
    """
    labels = last_label - memory.label
    if settings.finetune_every_labels and labels >= settings.finetune_every_labels:
        return f"{labels:,} labels since the last time"
    seconds = now.timestamp() - memory.ended_at
    if labels > 0 and 0 < settings.finetune_every_seconds <= seconds:
        return f"{seconds:,.0f} s since the last time"
    return ""


def _day(now: datetime) -> str:
    return now.date().isoformat()
