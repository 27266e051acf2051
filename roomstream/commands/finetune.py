"""`roomstream finetune`: how the encoder was fine-tuned, asking for it, and doing it here with a file."""

import uuid
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from artefacts.manifest import WEIGHTS, Manifest
from artefacts.store import Store
from roomstream.commands.output import Json, moment, out, print_json, print_table, tell
from roomstream.commands.training import (
    DEFAULT,
    Epochs,
    MaxLength,
    Patience,
    Picture,
    Rate,
    Seed,
    tell_outcome,
    workshop,
)
from roomstream.options import with_settings
from runtime.announcements import Announcements, request_fine_tuning
from runtime.permissions import Access, permitted, reading
from runtime.settings import KafkaSettings, SharedSettings
from schemas.errors import ConfigurationError
from schemas.events import FineTuneRequest
from schemas.topics import Topic
from trainer.transfer.plan import Pace

_READ_SECONDS = 30


@with_settings(KafkaSettings, SharedSettings)
def finetune(
    kafka: KafkaSettings,
    shared: SharedSettings,
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="A CSV of labelled listings to fine-tune on, here and now: title, label, and an id that "
            "stays the same. Without it nothing is trained here.",
        ),
    ] = None,
    now: Annotated[
        bool, typer.Option("--now", help="Ask the trainer to begin as soon as it can.")
    ] = False,
    why: Annotated[
        str, typer.Option(max=500, help="The reason, for those who ask later.")
    ] = "an operator asked",
    base: Annotated[
        str | None,
        typer.Option(
            help="With FILE: what to begin with, as for 'roomstream base import': minilm, a folder, a "
            "model of the Hugging Face hub. Default: the encoder of the live release."
        ),
    ] = None,
    epochs: Epochs = DEFAULT.epochs,
    learning_rate: Rate = DEFAULT.rate,
    patience: Patience = DEFAULT.patience,
    max_length: MaxLength = None,
    seed: Seed = DEFAULT.seed,
    picture: Picture = None,
    as_json: Json = False,
) -> None:
    """
    Show when the encoder was fine-tuned, ask the trainer to do it now, or do it here on a file.

    With FILE a base and a new head are trained on it in this process. A tenth of it
    (TRAINER_HOLDOUT_SHARE) is never learned: by it the candidate is compared with the live release, with
    the bounds of the trainer. It is live if it passes; else nothing is published and the exit code is 3.

    The trainer does it by itself too, after --finetune-every-labels labels. Where it stands meanwhile is
    in its log and metrics (roomstream_trainer_finetune_step).

    With --now it begins within seconds if it runs. It waits while it is at one already, while the live
    release is pinned, and while no processor time is left (--finetune-cpu-seconds a day; 0: for ever).
    Without weights in the live release, or with too few listings kept, only a log line comes of it.
    """
    if data is not None:
        if now:
            raise ConfigurationError(
                "--now asks a running trainer, FILE is learned here: give one of them."
            )
        pace = Pace(epochs, learning_rate, patience, seed)
        with workshop(kafka, shared, data, pace, max_length, picture) as ours:
            outcome = ours.fine_tune(base)
        tell_outcome(outcome, picture, as_json)
    elif base or picture:
        raise ConfigurationError("--base and --picture are for a file: name it as well.")
    elif now:
        _ask(kafka, shared, why, as_json)
    else:
        _show(kafka, shared, as_json)


def _ask(kafka: KafkaSettings, shared: SharedSettings, why: str, as_json: bool) -> None:
    request = FineTuneRequest(request_id=uuid.uuid4().hex, why=why, requested_at=datetime.now(UTC))
    access = Access("this command", {Topic.RELEASES: ("Write",)})
    with permitted(kafka, shared.topic_prefix, access):
        request_fine_tuning(kafka, shared.topic_prefix, request)
    tell(
        as_json,
        msgspec.to_builtins(request),
        "The trainer is asked to fine-tune its encoder. If it runs, it begins within seconds, or once it "
        "is done with another one, nobody pins the live release, and processor time is left "
        "(TRAINER_FINETUNE_CPU_SECONDS a day). Its log says what comes of it, also where it cannot.",
    )


def _show(kafka: KafkaSettings, shared: SharedSettings, as_json: bool) -> None:
    with (
        permitted(kafka, shared.topic_prefix, reading(Topic.RELEASES)),
        closing(Announcements(kafka, shared.topic_prefix)) as announcements,
    ):
        live = announcements.read_all(_READ_SECONDS).get("live")
        request = announcements.request
    store = Store(shared.store)
    manifests = [store.manifest(release) for release in store.releases()]
    tuned = [manifest for manifest in manifests if manifest.fine_tuning]
    known = [manifest for manifest in manifests if live and manifest.release == live.release]
    possible = any(WEIGHTS in manifest.blobs for manifest in known)
    if as_json:
        print_json(
            {
                "live": live.release if live else None,
                "possible": possible,
                "request": msgspec.to_builtins(request),
                "fine_tuned": [
                    {"release": each.release, **msgspec.to_builtins(each.fine_tuning)}
                    for each in tuned
                ],
            }
        )
        return
    print_table(("release", "why", "listings", "best step", "loss of others"), _rows(tuned))
    if not tuned:
        out.print("No release of the store has a fine-tuned encoder yet.")
    if known and not possible:
        out.print(
            f"The live release has no {WEIGHTS}: its encoder cannot be fine-tuned. Import the base model "
            "again with 'roomstream base import --replace'.",
            soft_wrap=True,
        )
    if request:
        text = f"Last asked for at {moment(request.requested_at)}: {request.why}"
        out.print(text, markup=False, soft_wrap=True)


def _rows(tuned: list[Manifest]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for manifest in tuned:
        if figures := manifest.fine_tuning:
            first, best = figures.curve[0], min(each.validation for each in figures.curve)
            losses = f"{first.validation:.3f} to {best:.3f}"
            step = f"{figures.best_step:,}"
            rows.append((manifest.release, figures.why, f"{figures.examples:,}", step, losses))
    return rows
