"""`roomstream audit`: the proof that every listing has exactly one result."""

import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from roomstream.audit import PartitionAudit, run_audit
from roomstream.commands.output import Json, counting, out, print_json, print_table
from roomstream.options import with_settings
from runtime.permissions import audit_access, permitted
from runtime.settings import KafkaSettings, SharedSettings
from schemas.errors import ConfigurationError, ExitCode
from workers.settings import WorkerSettings

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@with_settings(KafkaSettings, SharedSettings)
def audit(
    kafka: KafkaSettings,
    shared: SharedSettings,
    start: Annotated[
        str | None,
        typer.Option("--from", help="Judge listings from this time on: 2026-11-24T09:00Z."),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="Judge listings before this time.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Judge the listings of the last 90s, 30m, 24h or 7d.")
    ] = None,
    group: Annotated[
        str, typer.Option(envvar="WORKER_GROUP", help="The workers' consumer group.")
    ] = WorkerSettings.model_fields["group"].default,
    as_json: Json = False,
) -> None:
    """
    Prove, offset by offset, that every listing has exactly one answer or dead letter.

    It reads all of 'listings', 'classified' and 'dead' while everything runs on. Exit code 0: nothing is
    missing, repeated or unknown. 1: something is; the first offsets are shown.
    """
    begin, finish = _span(start, end, since)
    workers = shared.topic_prefix + group
    with (
        permitted(kafka, shared.topic_prefix, audit_access(workers)),
        counting("messages read") as counted,
    ):
        found = run_audit(kafka, shared.topic_prefix, workers, begin, finish, counted)
    whole = all(each.whole for each in found)
    if as_json:
        print_json({"whole": whole, "partitions": [asdict(each) for each in found]})
    else:
        _show(found, whole)
    if not whole:
        raise typer.Exit(ExitCode.FAILED)


def _show(found: list[PartitionAudit], whole: bool) -> None:
    print_table(
        ("partition", "answered", "dead", "skipped", "waiting", "missing", "repeated", "unknown"),
        [
            (
                "unknown" if each.partition < 0 else each.partition,
                f"{each.answered:,}",
                f"{each.dead:,}",
                f"{each.skipped:,}",
                f"{each.waiting:,}",
                f"{each.missing:,}",
                f"{each.repeated:,}",
                f"{each.unknown:,}",
            )
            for each in found
        ],
    )
    for each in found:
        for fault, offsets in each.examples.items():
            places = ", ".join(map(str, offsets))
            out.print(f"[red]{fault}[/] in partition {each.partition}, first offsets: {places}")
    if whole:
        out.print("[green]Whole[/]: every listing has exactly one result.")
    else:
        out.print(
            "[red]Not whole.[/] Repeats are possible under --delivery at-least-once, one window a crash; "
            "anything else is a fault to report with these offsets.",
            soft_wrap=True,
        )


def _span(
    start: str | None, end: str | None, since: str | None
) -> tuple[datetime | None, datetime | None]:
    if since is None:
        return _time("--from", start), _time("--to", end)
    found = re.fullmatch(r"(\d+)([smhd])", since)
    if found is None or start is not None:
        raise ConfigurationError(
            f"--since {since}: give a number and s, m, h or d, such as 24h, and not --from too."
        )
    span = timedelta(**{_UNITS[found[2]]: int(found[1])})
    return datetime.now(UTC) - span, _time("--to", end)


def _time(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(
            f"{option} {text}: give a time such as 2026-11-24T09:00Z."
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
