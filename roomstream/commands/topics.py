"""`roomstream topics`: the topics of `schemas` on a broker."""

from typing import Annotated

import typer

from roomstream.commands.output import Json, out, print_json, print_table
from roomstream.options import with_settings
from runtime.settings import KafkaSettings, SharedSettings
from runtime.topics import TopicStatus, create_topics, describe_topics

app = typer.Typer(no_args_is_help=True, help="The topics that roomstream reads and writes.")


@app.command("create")
@with_settings(KafkaSettings, SharedSettings)
def create(
    kafka: KafkaSettings,
    shared: SharedSettings,
    partitions: Annotated[
        int,
        typer.Option(
            min=1, help="Of each topic but releases. At most so many workers share the load."
        ),
    ] = 8,
    replication_factor: Annotated[
        int, typer.Option(min=-1, help="Copies of each partition; -1: as the brokers are set.")
    ] = -1,
    as_json: Json = False,
) -> None:
    """Make the topics that are missing. Those that exist are left as they are."""
    statuses = create_topics(kafka, shared.topic_prefix, partitions, replication_factor)
    if as_json:
        print_json([_facts(status) | {"created": status.created} for status in statuses])
        return
    _show(statuses)
    made = sum(status.created for status in statuses)
    out.print(f"{made} created, {len(statuses) - made} were there.")


@app.command("list")
@with_settings(KafkaSettings, SharedSettings)
def show(kafka: KafkaSettings, shared: SharedSettings, as_json: Json = False) -> None:
    """Show each topic: what it holds, how the broker keeps it, and where that differs."""
    statuses = describe_topics(kafka, shared.topic_prefix)
    if as_json:
        print_json([_facts(status) for status in statuses])
    else:
        _show(statuses)


def _facts(status: TopicStatus) -> dict[str, object]:
    return {
        "topic": status.name,
        "exists": status.partitions > 0,
        "partitions": status.partitions,
        "replication_factor": status.replication_factor,
        "key": status.spec.key,
        "made_by": status.spec.made_by,
        "doc": status.spec.doc,
        "differs": list(status.differs),
        "lacks": list(status.lacks),
    }


def _show(statuses: list[TopicStatus]) -> None:
    print_table(
        ("topic", "partitions", "copies", "made by", "state"),
        [
            (
                status.name,
                status.partitions or "-",
                status.replication_factor or "-",
                status.spec.made_by,
                _state(status),
            )
            for status in statuses
        ],
    )


def _state(status: TopicStatus) -> str:
    if status.lacks:
        return f"not allowed to this user: {', '.join(status.lacks)}"
    if not status.partitions:
        return "missing: run 'roomstream topics create'"
    return "; ".join(status.differs) or "ok"
