"""`roomstream listings`: listings from files."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from roomstream.commands.output import Json, counting, tell
from roomstream.listings import read_listings
from roomstream.options import with_settings
from roomstream.sending import send_listings
from runtime.permissions import Access, permitted
from runtime.settings import KafkaSettings, SharedSettings
from schemas.topics import Topic

app = typer.Typer(no_args_is_help=True, help="Listings from files.")


@app.command("send")
@with_settings(KafkaSettings, SharedSettings)
def send(
    kafka: KafkaSettings,
    shared: SharedSettings,
    file: Annotated[
        Path,
        typer.Argument(
            exists=True,
            dir_okay=False,
            help="CSV, also .gz, with the columns id, title and perhaps label.",
        ),
    ],
    rate: Annotated[
        float | None, typer.Option(min=0.01, help="Events a second; without it as fast as it goes.")
    ] = None,
    labelled: Annotated[
        float,
        typer.Option(min=0, max=1, help="The share of listings whose label is sent to be learned."),
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Chooses that share.")] = 1,
    as_json: Json = False,
) -> None:
    """Send the listings of a file as events, in file order."""
    topics = (Topic.LISTINGS, Topic.LABELLED) if labelled else (Topic.LISTINGS,)
    access = Access("this command", dict.fromkeys(topics, ("Write",)))
    with permitted(kafka, shared.topic_prefix, access), counting("listings sent") as counted:
        listings = counted(read_listings(file))
        sent = send_listings(kafka, shared.topic_prefix, listings, rate, labelled, seed)
    tell(as_json, asdict(sent), f"Sent {sent.events:,} listings and {sent.labels:,} labels.")
