"""`roomstream doctor`: what is wrong, and how to mend it."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from roomstream.commands.output import Json, out, print_json
from roomstream.doctor.examination import examine
from roomstream.doctor.findings import Deployment, Finding, Role
from roomstream.options import with_settings
from runtime.settings import KafkaSettings, SharedSettings
from schemas.errors import ExitCode
from trainer.settings import TrainerSettings
from workers.settings import WorkerSettings

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "bold red", "not checked": "dim"}
_WIDTH = max(map(len, _COLOURS))


@with_settings(KafkaSettings, SharedSettings)
def doctor(
    kafka: KafkaSettings,
    shared: SharedSettings,
    role: Annotated[
        Role | None,
        typer.Option(help="What this machine and user are for; without it any role will do."),
    ] = None,
    group: Annotated[
        str, typer.Option(envvar="WORKER_GROUP", help="The workers' consumer group.")
    ] = WorkerSettings.model_fields["group"].default,
    database: Annotated[
        Path | None, typer.Option(envvar="TRAINER_DATABASE", help="The trainer's SQLite file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """
    Check connection, security, topics, store, live release, clock, disk and limits from this machine.

    Takes half a minute at most, whatever hangs. It makes and deletes a small object in the store and a
    topic roomstream-doctor-…; nothing else is changed. Exit code 0: nothing has failed. 1: something has.
    """
    default = TrainerSettings.model_fields["database"].get_default(call_default_factory=True)
    deployment = Deployment(kafka, shared, shared.topic_prefix + group, database or default, role)
    findings = []
    for finding in examine(deployment):
        findings.append(finding)
        if not as_json:
            _show(finding)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    if any(finding.state == "failed" for finding in findings):
        raise typer.Exit(ExitCode.FAILED)


def _show(finding: Finding) -> None:
    state = f"[{_COLOURS[finding.state]}]{finding.state:{_WIDTH}}[/]"
    out.print(f"{state}  {finding.area:10}  {escape(finding.says)}", soft_wrap=True)
    if finding.next_step:
        out.print(f"{'':{_WIDTH + 14}}→ {finding.next_step}", markup=False, soft_wrap=True)
