"""What a demo reports: the figures, whether they are what roomstream promises, and a table."""

from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
from rich.table import Table

RELEASES_NEEDED, RELOADS_NEEDED = 3, 2


@dataclass(frozen=True)
class Report:
    """
    The figures of a demo.

    Attributes:
        events_sent: Messages sent to `listings`.
        classified: Messages that were answered.
        dead: Messages that became dead letters.
        skipped: Tombstones that the workers have passed over.
        missing: Messages that became nothing.
        repeated: Results beyond the first of a message.
        unexpected: Results that do not fit their message, in words.
        labels_sent: Labels sent to `labelled`.
        labels_learned: Those that the trainer has learned, or judges by.
        labels_doubted: Those that it holds back, since they contradict what it is sure of.
        releases: Releases announced, the base release among them.
        reloads: Times that each worker took up a release without a stop, by worker.
        worker_restarts: Times that a worker had to be started again.
        trainer_restarts: Times that the trainer had to be started again.
        accuracy_first_quarter: Share of right answers in the first quarter of the listings.
        accuracy_last_quarter: Share of right answers in the last quarter.
        label_to_live_seconds_median: From sending a label until every worker answers with a release
            that has learned from it.
        seconds: From start to end.
        failure: Why the demo was stopped before its end, if it was.
        logs: The ends of the logs of processes that crashed; of all if the demo was stopped.
        folder: Where logs, store and database were kept, if they were.
        topic_prefix: What the names of the demo's topics begin with.
    """

    events_sent: int
    classified: int
    dead: int
    skipped: int
    missing: int
    repeated: int
    unexpected: list[str]
    labels_sent: int
    labels_learned: int
    labels_doubted: int
    releases: int
    reloads: dict[str, int]
    worker_restarts: int
    trainer_restarts: int
    accuracy_first_quarter: float | None
    accuracy_last_quarter: float | None
    label_to_live_seconds_median: float | None
    seconds: float
    failure: str | None = None
    logs: str = ""
    folder: str | None = None
    topic_prefix: str = ""

    @property
    def failed(self) -> list[str]:
        """What is not as promised, in words."""
        faults = [self.failure] if self.failure else []
        if self.missing:
            faults.append(f"{self.missing} messages became nothing.")
        faults += [f"{fault}." for fault in self.unexpected[:5]]
        if self.labels_learned + self.labels_doubted != self.labels_sent:
            faults.append(
                f"{self.labels_sent} labels sent, {self.labels_learned} learned, "
                f"{self.labels_doubted} doubted."
            )
        if self.releases < RELEASES_NEEDED:
            faults.append(
                f"{self.releases} releases, expected at least {RELEASES_NEEDED}: send more events "
                "(--events) or label more of them (--labelled)."
            )
        faults += [
            f"{worker} took up {times} releases, expected at least {RELOADS_NEEDED}."
            for worker, times in self.reloads.items()
            if times < RELOADS_NEEDED
        ]
        return faults

    def write(self, path: Path) -> None:
        """Write the figures as JSON."""
        figures = asdict(self) | {"failed": self.failed}
        path.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2) + b"\n")


def summary(report: Report) -> Table:
    """The figures in plain words."""
    table = Table(title="What happened", show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, text in _rows(report):
        table.add_row(name, text)
    return table


def _rows(report: Report) -> list[tuple[str, str]]:
    reloads = ", ".join(f"{worker} {times}" for worker, times in report.reloads.items())
    skipped = f"{report.skipped:,} skipped (tombstones)"
    doubted = f"{report.labels_doubted:,} doubted and held back"
    first, last = _share(report.accuracy_first_quarter), _share(report.accuracy_last_quarter)
    return [
        ("Messages sent", f"{report.events_sent:,}"),
        ("became", f"{report.classified:,} answers, {report.dead:,} dead letters, {skipped}"),
        ("Missing, repeated", f"{report.missing:,}, {report.repeated:,}"),
        ("Labels sent", f"{report.labels_sent:,}: {report.labels_learned:,} learned, {doubted}"),
        ("Releases", f"{report.releases}, the base release among them"),
        ("Reloads without a stop", reloads),
        ("Restarts", f"workers {report.worker_restarts}, trainer {report.trainer_restarts}"),
        ("Right answers", f"{first} in the first quarter, {last} in the last"),
        ("Label to live, median", _seconds(report.label_to_live_seconds_median)),
        ("Time", _seconds(report.seconds)),
    ]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
