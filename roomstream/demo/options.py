"""What a demo can be told."""

from dataclasses import dataclass
from pathlib import Path

from schemas.errors import ConfigurationError

WORKERS = 2


@dataclass(frozen=True)
class DemoOptions:
    """
    What a demo can be told.

    Attributes:
        listings: A CSV file of labelled listings; None: listings that the project makes up.
        events: How many messages to send at most.
        labelled: The share of listings that get a label in the end.
        bootstrap_servers: A Kafka to use; None: a node from KAFKA_HOME if that is set, else the
            embedded broker.
        report: Where to write what happened, as JSON.
        seed: Chooses the generated listings and which of them get labels.
        limit_seconds: When a demo that has not ended by itself is stopped and counts as failed.
        keep: Leave the working folder (logs, store, database) and the topics in place.
    """

    listings: Path | None = None
    events: int = 4_000
    labelled: float = 0.3
    bootstrap_servers: str | None = None
    report: Path | None = None
    seed: int = 1
    limit_seconds: float = 280.0
    keep: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.labelled <= 1:
            raise ConfigurationError(
                f"--labelled {self.labelled} is not a share: choose more than 0 and at most 1."
            )
        if self.events < 1:
            raise ConfigurationError(f"--events {self.events}: choose at least 1.")
        if self.report is not None and not self.report.absolute().parent.is_dir():
            raise ConfigurationError(
                f"--report {self.report}: there is no folder {self.report.absolute().parent}. "
                "Make it, or choose another."
            )
