"""What a session shows in the terminal."""

import math

from rich.text import Text

from roomstream.commands.output import moment, plain
from roomstream.review_queue import entropy
from roomstream.review_session import Session
from schemas.events import ReviewRequest

_BAR = 24
_FIXED_LINES = 12  # all but the classes and the description
_LEAST_LINES = 3

KEYS = """\
A digit or letter  gives the class beside it; the release's own choice is marked
n                  types a class: a new one, or one of those by name
s                  skips: somebody else is asked, or you the next time
u                  takes the last answer back; before that, a label is not sent
q                  sends the last label, if any, and quits
?                  shows this

A listing such as 'Habitación privada con balcón' or 'Bright room near the market' gets the class of
what the guest has for themselves. Skip what the words do not tell: a guess teaches a mistake.

Each label tells the trainer with what chance its listing got into this queue. This is the chance
with which it was labelled if the whole queue is done. If there is no time for that, begin with what
was drawn at random: roomstream review --reason random
"""


def listing(session: Session, width: int, height: int) -> Text:
    """What is asked now, or that all is done; no higher than a terminal of this size if it can be."""
    request = session.request
    if request is None:
        return Text.assemble(
            (f"All {len(session.queue):,} listings are done", "bold"),
            f" · {_progress(session)}\n\n",
            (f"{plain(session.note)}\n\n", "dim"),
            "u takes the last answer back, q sends it and quits\n",
        )
    event, room = request.event, height - _FIXED_LINES - len(request.scores)
    origin = [event.language or "language not known", event.source or ""]
    about = " · ".join(plain(each) for each in (*origin, f"listing {event.listing_id}") if each)
    return Text.assemble(
        (f"{session.position:,} of {len(session.queue):,}", "bold"),
        f" · {_progress(session)}\n\n",
        (f"{_cut(event.title, width * 4)}\n", "bold cyan"),
        f"{_cut(event.description or '', width * max(_LEAST_LINES, room))}\n",
        (f"{about}\n", "dim"),
        (f"{_why(request)}\n\n", "dim"),
        *_classes(session, request),
        "\ns skip   u take back   n type a class   ? help   q quit\n",
        (f"{_cut(session.note, width)}\n", "yellow"),
    )


def _progress(session: Session) -> str:
    return f"{session.labels:,} labelled, {session.skipped:,} skipped"


def _why(request: ReviewRequest) -> str:
    asked = f"asked {moment(request.requested_at)} by release {plain(request.release)}"
    if request.reason == "random":
        return f"Drawn at random, so that labels stay a fair sample · {asked}"
    most = math.log(max(2, len(request.scores)))
    doubt = entropy(request.scores) / most
    return f"The release is in doubt, {doubt:.0%} of what is possible · {asked}"


def _classes(session: Session, request: ReviewRequest) -> list[str | tuple[str, str]]:
    lines: list[str | tuple[str, str]] = []
    longest = max((len(plain(label)) for label in session.keys.values()), default=0)
    for key, label in session.keys.items():
        score = request.scores.get(label, 0.0)
        bar = "█" * round(score * _BAR)
        says = "  ◀ the release says" if label == request.label else ""
        lines += [
            (f" {key} ", "reverse"),
            f" {plain(label):<{longest}}  {bar:·<{_BAR}} {score:4.0%}{says}\n",
        ]
    return lines


def _cut(text: str, characters: int) -> str:
    shown = plain(text)
    return shown if len(shown) <= characters else f"{shown[: characters - 1]}…"
