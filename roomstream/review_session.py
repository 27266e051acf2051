"""A person works through the queue: labels, skips, and one step back. Pure: no terminal and no Kafka."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from roomstream.review_queue import labelled
from schemas.events import LabelledEvent, ReviewRequest

COMMANDS = "snuq?"
LONGEST = 100
"""Characters of a label."""

_KEYS = [key for key in "123456789abcdefghijklmnopqrstuvwxyz" if key not in COMMANDS]


@dataclass
class Session:
    """
    Takes one answer after the other.

    A label is sent when the next answer is given or the session is finished: until then it can be
    taken back, and nobody has learned it.

    Args:
        queue: In the order of asking.
        annotator: Who answers.
        send: Takes a label.
        now: Tells the time.

    Attributes:
        labels: How many labels were given.
        skipped: How many listings were passed over.
        note: What became of the last key.
    """

    queue: Sequence[ReviewRequest]
    annotator: str
    send: Callable[[LabelledEvent], None]
    now: Callable[[], datetime]
    labels: int = 0
    skipped: int = 0
    note: str = ""
    _place: int = 0
    _held: LabelledEvent | None = None
    _back: bool = False  # whether the last answer can be taken back
    _classes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        # The newest release knows best which classes there are, and in which order.
        newest_first = sorted(self.queue, key=lambda each: each.requested_at, reverse=True)
        self._classes = list(dict.fromkeys(x for each in newest_first for x in each.scores))

    @property
    def request(self) -> ReviewRequest | None:
        """What is asked now; None at the end."""
        return self.queue[self._place] if self._place < len(self.queue) else None

    @property
    def position(self) -> int:
        """The number of the listing that is asked about, from 1."""
        return self._place + 1

    @property
    def keys(self) -> dict[str, str]:
        """The classes that one key chooses; further ones are chosen by their name."""
        return dict(zip(_KEYS, self._classes, strict=False))

    def press(self, key: str) -> None:
        """Do what a key stands for."""
        self.note = ""
        if key == "u":
            self._undo()
        elif self.request is None:
            self.note = "That was the last one."
        elif key == "s":
            self._answer(None)
        elif key in self.keys:
            self._answer(self.keys[key])
        else:
            self.note = "That key stands for nothing here; ? shows those that do."

    def name(self, label: str) -> None:
        """Give the label of this name; one that is not among the classes becomes one."""
        label = label.strip()
        self.note = ""
        if not label:
            self.note = "No class was typed."
        elif len(label) > LONGEST:
            self.note = f"A class has at most {LONGEST} characters; this has {len(label)}."
        else:
            known = {each.casefold(): each for each in self._classes}
            if label.casefold() not in known:
                self._classes.append(label)
            self._answer(known.get(label.casefold(), label))

    def finish(self) -> None:
        """Send what can still be taken back."""
        if self._held is not None:
            self.send(self._held)
        self._held, self._back = None, False

    def _answer(self, label: str | None) -> None:
        request = self.request
        assert request is not None, "this is a bug: nothing is asked"
        self.finish()
        if label is None:
            self.skipped += 1
        else:
            self.labels += 1
            self._held = labelled(request, label, self.annotator, self.now())
        self._place += 1
        self._back = True
        self.note = f"{label or 'Skipped'}: {request.event.title} (u takes it back)"

    def _undo(self) -> None:
        if not self._back:
            self.note = (
                "Nothing to take back: only the last answer can be, until the next is given."
            )
            return
        self._place -= 1
        if self._held is None:
            self.skipped -= 1
        else:
            self.labels -= 1
        self._held, self._back = None, False
        self.note = "Taken back."
