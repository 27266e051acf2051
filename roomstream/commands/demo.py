"""`roomstream demo`: the whole loop on one machine."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    listings: Annotated[
        Path | None,
        typer.Option(help="A CSV (also .gz) of labelled listings; without it generated ones."),
    ] = None,
    events: Annotated[int, typer.Option(min=1, help="How many messages to send at most.")] = 4_000,
    labelled: Annotated[
        float, typer.Option(min=0, max=1, help="The share of listings that people label.")
    ] = 0.3,
    bootstrap_servers: Annotated[
        str | None,
        typer.Option(help="A Kafka to use; else one from KAFKA_HOME; else the embedded broker."),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write what happened as JSON.")] = None,
    seed: Annotated[int, typer.Option(help="Chooses listings and labels.")] = 1,
    limit_seconds: Annotated[
        float, typer.Option(min=1, help="A demo that has not ended by then has failed.")
    ] = 280.0,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave logs, store, database and topics in place.")
    ] = False,
) -> None:
    """
    Run the whole loop here: broker, two workers, trainer, listings, labels, releases, reloads.

    It ends by itself with a summary. It takes about two minutes and needs the extra 'demo'.
    """
    from roomstream.demo.options import DemoOptions
    from roomstream.demo.run import run_demo

    options = DemoOptions(
        listings=listings,
        events=events,
        labelled=labelled,
        bootstrap_servers=bootstrap_servers,
        report=report,
        seed=seed,
        limit_seconds=limit_seconds,
        keep=keep,
    )
    raise typer.Exit(run_demo(options))
