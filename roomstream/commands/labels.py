"""`roomstream labels`: labels that the trainer holds back, and what an operator says of them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roomstream.commands.output import Json, out, print_json, print_table, tell
from roomstream.options import with_settings
from roomstream.sending import Sender
from roomstream.verdicts import accepted, rejected
from runtime.permissions import Access, permitted
from runtime.settings import KafkaSettings, SharedSettings, data_folder
from schemas.errors import ConfigurationError
from schemas.events import Feedback, LabelledEvent
from schemas.topics import Topic
from trainer.intake import Label

if TYPE_CHECKING:
    from trainer.suspects import Suspect

app = typer.Typer(
    no_args_is_help=True,
    help="Labels that the trainer holds back. They contradict what it is sure of: wrong labels, or "
    "news. They are read from the trainer's database, so run this on the trainer's machine (it may run "
    "on); what you say of them goes to the topic 'labelled', and the trainer takes it from there.",
)

_Database = Annotated[
    Path | None,
    typer.Option(
        "--database",
        envvar="TRAINER_DATABASE",
        show_envvar=True,
        help="The trainer's database; without it the default one of this user.",
    ),
]
_Events = Annotated[
    list[str], typer.Argument(help="Event ids, as 'roomstream labels suspects' shows them.")
]
_Verdict = Callable[[Label, datetime], LabelledEvent | Feedback]


@app.command("suspects")
def suspects(database: _Database = None, as_json: Json = False) -> None:
    """List the labels that are held back, oldest first."""
    found = _suspects(database)
    if as_json:
        print_json([_facts(suspect) for suspect in found])
        return
    print_table(
        ("event", "label", "the model says", "by", "text"),
        [
            (
                each.label.event_id,
                each.label.label,
                f"{each.said} ({each.confidence:.1%})",
                each.label.annotator or each.label.origin,
                each.label.text.replace("\n", " "),
            )
            for each in found
        ],
    )
    if found:
        out.print("Accept the right ones with 'roomstream labels accept', reject the others.")
    else:
        out.print("There is none: nothing contradicts what the trainer is sure of.")


@app.command("accept")
@with_settings(KafkaSettings, SharedSettings)
def accept(
    kafka: KafkaSettings,
    shared: SharedSettings,
    events: _Events,
    database: _Database = None,
    as_json: Json = False,
) -> None:
    """Say that labels are right: the trainer learns them."""
    _send(kafka, shared, _chosen(database, events), accepted)
    tell(as_json, {"accepted": events}, f"Accepted {len(events):,}: the trainer learns them now.")


@app.command("reject")
@with_settings(KafkaSettings, SharedSettings)
def reject(
    kafka: KafkaSettings,
    shared: SharedSettings,
    events: _Events,
    database: _Database = None,
    as_json: Json = False,
) -> None:
    """Say that labels are wrong: the trainer forgets them."""
    _send(kafka, shared, _chosen(database, events), rejected)
    tell(as_json, {"rejected": events}, f"Rejected {len(events):,}: the trainer forgets them now.")


def _suspects(database: Path | None) -> "list[Suspect]":
    from trainer.suspects import read_suspects

    return read_suspects(database or data_folder() / "trainer.sqlite")


def _chosen(database: Path | None, events: Sequence[str]) -> list[Label]:
    known = {each.label.event_id: each.label for each in _suspects(database)}
    unknown = [event for event in events if event not in known]
    if unknown:
        raise ConfigurationError(
            f"No label is held back under {', '.join(unknown)}, and nothing was sent. 'roomstream labels "
            "suspects' lists those that are; another one may have been released or rejected already."
        )
    return [known[event] for event in dict.fromkeys(events)]


def _send(
    kafka: KafkaSettings, shared: SharedSettings, labels: Sequence[Label], verdict: _Verdict
) -> None:
    access = Access("this command", {Topic.LABELLED: ("Write",)})
    at = datetime.now(UTC)
    with (
        permitted(kafka, shared.topic_prefix, access),
        Sender(kafka, shared.topic_prefix) as sender,
    ):
        for label in labels:
            sender.send_label(verdict(label, at))


def _facts(suspect: "Suspect") -> dict[str, object]:
    label = suspect.label
    return {
        "event_id": label.event_id,
        "listing_id": label.listing_id,
        "text": label.text,
        "label": label.label,
        "said": suspect.said,
        "confidence": suspect.confidence,
        "origin": label.origin,
        "annotator": label.annotator or None,
        "domain": label.domain or None,
        "labelled_at": label.labelled_at.isoformat(),
        "topic": label.record.topic,
        "partition": label.record.partition,
        "offset": label.record.offset,
    }
