"""`roomstream base`: the first release of a deployment."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from artefacts.store import Store
from roomstream.commands.output import Json, notes, tell
from roomstream.listings import read_listings
from roomstream.live import live_announcement, make_live
from roomstream.options import with_settings
from runtime.settings import KafkaSettings, SharedSettings
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from trainer.base_import import Imported

app = typer.Typer(no_args_is_help=True, help="The release that everything starts from.")


@app.command("import")
@with_settings(KafkaSettings, SharedSettings)
def import_(
    kafka: KafkaSettings,
    shared: SharedSettings,
    source: Annotated[
        str,
        typer.Argument(
            help="minilm (packaged), a folder made by save_pretrained, or a model of the Hugging Face "
            "hub. DistilBERT only."
        ),
    ],
    labels: Annotated[
        str,
        typer.Option(
            help="The classes, separated by commas: 'Entire home/apt,Private room'. A model that has "
            "labels needs none."
        ),
    ] = "",
    max_length: Annotated[
        int, typer.Option(min=3, help="The longest input in tokens; the rest is cut.")
    ] = 64,
    review_below: Annotated[
        float, typer.Option(min=0, max=1, help="Answers with a lower confidence ask for review.")
    ] = 0.6,
    examples: Annotated[
        Path | None,
        typer.Option(
            help="A CSV of labelled listings to fit the head to; without it every class gets the "
            "same score at first."
        ),
    ] = None,
    int8: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            metavar="LOSS",
            help="Let the encoder compute in 8-bit integers, nearly twice as fast, if its features of "
            "the golden inputs lose no more than this (1 - cosine), such as 0.05. What is fine-tuned "
            "from it does so too.",
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Import even if a release is live already.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a release from a DistilBERT, publish it and announce it as live."""
    live = live_announcement(kafka, shared)
    if live is not None and not replace:
        text = (
            f"Release {live.release} is live already: nothing was done. --replace imports anyway."
        )
        tell(as_json, {"release": live.release, "imported": False}, text)
        return
    imported = _importer()(
        source,
        [label.strip() for label in labels.split(",") if label.strip()],
        max_length=max_length,
        review_below=review_below,
        examples=_examples(examples),
        parent=live.release if live else None,
        int8_loss=int8,
        progress=lambda step: notes.print(f"{step} …"),
    )
    imported.publish(Store(shared.store))
    release = imported.manifest.release
    make_live(kafka, shared, release, f"imported from {source}")
    names, quantisation = imported.manifest.labels, imported.manifest.quantisation
    facts = {
        "release": release,
        "imported": True,
        "labels": names,
        "quantisation": msgspec.to_builtins(quantisation),
    }
    loss = f" In 8-bit integers its features lose {quantisation.loss:.4f}." if quantisation else ""
    tell(as_json, facts, f"Release {release} ({', '.join(names)}) is live.{loss}")


def _importer() -> Callable[..., "Imported"]:
    try:
        from trainer.base_import import import_base
    except ImportError as error:
        raise ConfigurationError(
            f"Importing a model needs torch and transformers ({error}). Run "
            "pip install 'roomstream[trainer]'."
        ) from error
    return import_base


def _examples(path: Path | None) -> list[tuple[str, str]]:
    if path is None:
        return []
    return [
        (listing.text, listing.label)
        for listing in read_listings(path)
        if listing.label is not None
    ]
