"""`roomstream classify`: labels texts here and now."""

from typing import Annotated

import typer

from roomstream.commands.output import Json, notes, print_json, print_table
from roomstream.options import with_settings
from runtime.settings import SharedSettings


@with_settings(SharedSettings)
def classify(
    shared: SharedSettings,
    texts: Annotated[
        list[str],
        typer.Argument(metavar="TEXT…", help="Such as 'Habitación privada con balcón'."),
    ],
    release: Annotated[
        str | None, typer.Option(help="A release of the store; without it the live one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Label texts with the live release, without Kafka: only the store is read."""
    from artefacts.cache import BlobCache
    from artefacts.classifier import Classifier
    from artefacts.store import Store

    store = Store(shared.store)
    manifest = store.manifest(release or store.pointed("live"))
    classifier = Classifier.load(manifest, BlobCache(store, shared.cache).get)
    predictions = classifier.predict(texts)
    if as_json:
        print_json(
            [
                {
                    "text": text,
                    "label": prediction.label,
                    "confidence": prediction.confidence,
                    "scores": prediction.scores,
                    "needs_review": prediction.confidence < manifest.review_below,
                    "truncated": prediction.truncated,
                    "release": manifest.release,
                }
                for text, prediction in zip(texts, predictions, strict=True)
            ]
        )
        return
    print_table(
        ("label", "confidence", "text"),
        [
            (prediction.label, _confidence(prediction.confidence, manifest.review_below), text)
            for text, prediction in zip(texts, predictions, strict=True)
        ],
    )
    notes.print(f"Release {manifest.release}", style="dim")


def _confidence(confidence: float, review_below: float) -> str:
    doubtful = " needs review" if confidence < review_below else ""
    return f"{confidence:.0%}{doubtful}"
