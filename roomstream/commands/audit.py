"""`roomstream audit`: the proof that every listing has exactly one result."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from roomstream.audit import PartitionAudit, run_audit
from roomstream.commands.output import Json, counting, out, print_json, print_table
from roomstream.commands.times import ago
from roomstream.options import with_settings
from runtime.permissions import audit_access, permitted
from runtime.settings import KafkaSettings, SharedSettings
from schemas.errors import ConfigurationError, ExitCode
from workers.settings import WorkerSettings

_COUNTS = (
    *("answered", "dead", "skipped", "waiting", "expired"),
    *("lost", "missing", "repeated", "unknown"),
)
_SELDOM = ("expired", "lost")


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

    It reads all of 'listings', 'classified' and 'dead' while everything runs on, and keeps one byte for
    each listing. Exit code 0: nothing is lost, missing, repeated or unknown, though listings may wait. 1:
    something is; the first offsets are shown. 75: brokers do not answer, or the group never committed.
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
    sums = {count: sum(getattr(each, count) for each in found) for count in _COUNTS}
    columns = [count for count in _COUNTS if sums[count] or count not in _SELDOM]
    print_table(
        ("partition", *columns),
        [
            (
                "unknown" if each.partition < 0 else each.partition,
                *(f"{getattr(each, count):,}" for count in columns),
            )
            for each in found
        ],
    )
    for each in found:
        for fault, offsets in each.examples.items():
            places = ", ".join(map(str, offsets))
            out.print(f"[red]{fault}[/] in partition {each.partition}, first offsets: {places}")
    out.print(" ".join(_summary(sums, whole)), soft_wrap=True)


def _summary(sums: Mapping[str, int], whole: bool) -> Iterator[str]:
    if not whole:
        yield (
            "[red]Not whole.[/] Repeats are possible under --delivery at-least-once, one window a crash; "
            "anything else is a fault to report with these offsets."
        )
    elif sums["waiting"] or sums["expired"]:
        yield "[green]Whole so far[/]: every other listing has exactly one result."
    else:
        yield "[green]Whole[/]: every listing has exactly one result."
    if sums["waiting"]:
        yield f"{sums['waiting']:,} listings wait for the workers."
    if sums["expired"]:
        yield (
            f"{sums['expired']:,} cannot be judged: retention has deleted results of their time. Keep "
            "'classified' and 'dead' longer than 'listings'."
        )
    if sums["lost"]:
        yield (
            f"{sums['lost']:,} were lost: retention deleted them before the workers had committed them. "
            "Start the workers, and keep 'listings' longer than they may be away."
        )


def _span(
    start: str | None, end: str | None, since: str | None
) -> tuple[datetime | None, datetime | None]:
    if since is None:
        return _time("--from", start), _time("--to", end)
    if start is not None:
        raise ConfigurationError(f"--since {since} and --from {start}: give one of them.")
    return ago("--since", since), _time("--to", end)


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
