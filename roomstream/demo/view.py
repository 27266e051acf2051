"""What a demo shows while it runs: a live panel on a terminal, else a line every few seconds."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

SAMPLES_SHOWN = 8
LINE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Sample:
    """An answer to show: what the listing says, what it was taken for, and what it is."""

    language: str | None
    title: str
    label: str
    confidence: float
    truth: str | None


@dataclass
class Progress:
    """How far a demo is; written by the demo, read by its view."""

    step: str = ""
    messages: int = 0
    sent: int = 0
    answered: int = 0
    dead: int = 0
    lag: int = 0
    per_second: float = 0.0
    labels_sent: int = 0
    labels_learned: int = 0
    labels_doubted: int = 0
    labels_live: int = 0
    accuracy: float | None = None
    release: str | None = None
    releases: int = 0
    reloads: dict[str, int] = field(default_factory=dict)
    restarts: int = 0
    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=SAMPLES_SHOWN))


class View(Protocol):
    """Shows progress."""

    def update(self, progress: Progress) -> None:
        """Show this; called several times a second."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def open_view(console: Console) -> View:
    """A panel where the output is a terminal, lines where it is a file or a pipe."""
    return Panels(console) if console.is_terminal else Lines(console)


class Panels:
    """A panel that stays in place, with answers scrolling by."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=4, transient=True)

    def update(self, progress: Progress) -> None:
        """Draw anew."""
        self._live.update(panel(progress))

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()


class Lines:
    """A line every few seconds, and one whenever a new step begins."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._step, self._next = "", 0.0

    def update(self, progress: Progress) -> None:
        """Print a line if it is time for one."""
        new_step, now = progress.step != self._step, self._clock()
        if new_step or now >= self._next:
            text = progress.step if new_step else line(progress)
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)
            self._step, self._next = progress.step, now + LINE_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def line(progress: Progress) -> str:
    """Progress on one line."""
    reloads = " ".join(f"{worker} {times}" for worker, times in progress.reloads.items())
    return (
        f"{progress.sent:,}/{progress.messages:,} sent, {progress.answered:,} answered "
        f"({progress.per_second:.0f}/s), {progress.dead} dead, {progress.lag} under way | "
        f"labels {progress.labels_sent} sent, {progress.labels_learned} learned, "
        f"{progress.labels_doubted} doubted, {progress.labels_live} live | "
        f"accuracy {_share(progress.accuracy)} | "
        f"{progress.releases} releases, live {progress.release or 'none'} | "
        f"reloads {reloads or 'none'} | restarts {progress.restarts}"
    )


def panel(progress: Progress) -> Panel:
    """Progress as a panel."""
    return Panel(
        Group(_figures(progress), Text(), _samples(progress)),
        title="roomstream demo",
        subtitle=progress.step,
        padding=(1, 2),
    )


def _figures(progress: Progress) -> Table:
    grid = Table.grid(padding=(0, 3))
    reloads = ", ".join(f"{worker} {times}" for worker, times in progress.reloads.items())
    pace = f"{progress.per_second:.0f} a second; {progress.dead} dead letters"
    learned = (
        f"{progress.labels_learned:,} learned, {progress.labels_doubted:,} doubted, "
        f"{progress.labels_live:,} live"
    )
    rows = [
        ("Listings", f"{progress.sent:,} of {progress.messages:,} sent, {progress.lag} under way"),
        ("Answers", f"{progress.answered:,}, {pace}"),
        ("Right, of the last 200", _share(progress.accuracy)),
        ("Labels", f"{progress.labels_sent:,} sent, {learned}"),
        ("Releases", f"{progress.releases}, live is {progress.release or 'none'}"),
        ("Reloads without a stop", reloads or "none yet"),
        ("Restarts", str(progress.restarts)),
    ]
    for name, text in rows:
        grid.add_row(Text(name, style="bold"), text)
    return grid


def _samples(progress: Progress) -> Table:
    table = Table(box=None, pad_edge=False, expand=True)
    table.add_column("", width=3)
    table.add_column("listing", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("answer", width=16, no_wrap=True)
    table.add_column("sure", width=5, justify="right")
    table.add_column("", width=2)
    for sample in list(progress.samples):
        right = sample.truth is None or sample.truth == sample.label
        table.add_row(
            (sample.language or "")[:2],
            Text(sample.title),
            Text(sample.label, style="green" if right else "red"),
            f"{sample.confidence:.0%}",
            "" if sample.truth is None else "✓" if right else "✗",
        )
    return table


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
