"""`roomstream review`: people label what the workers ask about."""

import getpass
import sys
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer

from roomstream.commands.output import Json, counting, notes, out, print_json
from roomstream.options import with_settings
from roomstream.review_queue import Reason, entropy, read_queue
from roomstream.review_screen import KEYS, listing
from roomstream.review_session import LONGEST, Session
from roomstream.sending import Sender
from runtime.permissions import permitted, reading, reviewer_access
from runtime.settings import KafkaSettings, SharedSettings
from schemas.errors import ConfigurationError
from schemas.events import LabelledEvent, ReviewRequest
from schemas.topics import Topic


@with_settings(KafkaSettings, SharedSettings)
def review(
    kafka: KafkaSettings,
    shared: SharedSettings,
    annotator: Annotated[
        str | None,
        typer.Option(help="Who you are, as your team may see in metrics; else your user name."),
    ] = None,
    oldest: Annotated[
        bool, typer.Option("--oldest", help="Oldest first, instead of the most uncertain first.")
    ] = False,
    reason: Annotated[
        Reason, typer.Option(help="Only what was asked in doubt, or drawn at random.")
    ] = "any",
    as_json: Json = False,
) -> None:
    """
    Label what the workers ask about, with a key press a listing.

    Shows each listing, such as 'Habitación privada con balcón' or 'Bright room near the market', with
    what the release says of it. Left out is what was labelled or deleted since. Labels go to the topic
    'labelled', and the trainer learns them from there. --json lists the queue and ends.
    """
    if as_json:
        with (
            permitted(
                kafka,
                shared.topic_prefix,
                reading(Topic.REVIEW, Topic.LABELLED, Topic.DELETIONS),
            ),
            counting("messages read") as counted,
        ):
            queue = read_queue(kafka, shared.topic_prefix, counted)
        print_json([_facts(each) for each in queue.waiting(reason, oldest)])
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigurationError(
            "Labels are given by key press, and standard input or output is no terminal. Run "
            "'roomstream review' in one, or list what is asked with 'roomstream review --json'."
        )
    with permitted(kafka, shared.topic_prefix, reviewer_access()):
        with counting("messages read") as counted:
            queue = read_queue(kafka, shared.topic_prefix, counted)
        waiting = queue.waiting(reason, oldest)
        if not waiting:
            out.print("Nothing is asked that was not labelled.")
            return
        _label(kafka, shared, waiting, _annotator(annotator))


def _label(
    kafka: KafkaSettings, shared: SharedSettings, waiting: list[ReviewRequest], annotator: str
) -> None:
    with Sender(kafka, shared.topic_prefix) as sender:

        def send(event: LabelledEvent) -> None:
            sender.send_label(event)
            sender.flush()  # what cannot be sent is told now, not after an hour of work

        session = Session(waiting, annotator, send, lambda: datetime.now(UTC))
        _converse(session)
        session.finish()
    left = len(waiting) - session.labels
    notes.print(f"{session.labels:,} labels sent, {left:,} listings are left.")


def _converse(session: Session) -> None:
    """Show and obey, until the person quits."""
    from roomstream.keyboard import END, Keyboard

    with Keyboard() as keyboard:
        try:
            while True:
                out.clear()
                out.print(listing(session, out.width, out.height))
                key = keyboard.key()
                if key in ("q", END):
                    return
                if key == "?":
                    out.clear()
                    out.print(KEYS, "\nAny key goes back.", markup=False)
                    keyboard.key()
                elif key == "n" and session.request:
                    session.name(keyboard.line("The class (Enter alone goes back): "))
                else:
                    session.press(key)
        except KeyboardInterrupt:  # Ctrl-C quits too: what was answered counts
            return


def _annotator(given: str | None) -> str:
    try:
        name = (given if given is not None else getpass.getuser()).strip()
    except OSError:  # the user has no name here, as in some containers
        name = ""
    if not 0 < len(name) <= LONGEST:
        raise ConfigurationError(
            f"Labels carry the name of who gave them, of 1 to {LONGEST} characters. Give yours with "
            "--annotator."
        )
    return name


def _facts(request: ReviewRequest) -> dict[str, object]:
    facts: dict[str, object] = msgspec.to_builtins(request)
    return {**facts, "entropy": entropy(request.scores)}
