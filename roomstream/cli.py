"""The `roomstream` command: its sub-commands, and how errors end it."""

import importlib.metadata
import sys
from typing import Annotated

import structlog
import typer

from roomstream.commands import base, dead, labels, listings, releases, schemas, topics
from roomstream.commands.audit import audit
from roomstream.commands.classify import classify
from roomstream.commands.demo import demo
from roomstream.commands.doctor import doctor
from roomstream.commands.finetune import finetune
from roomstream.commands.output import notes
from roomstream.commands.review import review
from roomstream.commands.services import trainer, worker
from schemas.errors import RoomstreamError

app = typer.Typer(
    name="roomstream",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="Says what kind of room each listing on Kafka is, and keeps learning from labels.\n\n"
    "Every setting is an option and an environment variable; --help of a command shows both. Secrets "
    "are only variables: KAFKA_SASL_PASSWORD, KAFKA_SSL_KEY_PASSWORD. Exit codes: 0 done, 1 failed, "
    "2 usage or configuration, 3 release missing or refused, 75 try again.",
)
app.command()(demo)
app.command()(worker)
app.command()(trainer)
app.command()(classify)
app.command()(review)
app.command()(audit)
app.command()(doctor)
app.command()(finetune)
for name, group in (
    ("topics", topics),
    ("base", base),
    ("listings", listings),
    ("labels", labels),
    ("releases", releases),
    ("dead", dead),
    ("schemas", schemas),
):
    app.add_typer(group.app, name=name)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"roomstream {importlib.metadata.version('roomstream')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def main() -> None:
    """Run the command and end the process with its exit code; what went wrong is on stderr."""
    # Standard output is for what a command prints; services say more in `configure_logs`.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        app(prog_name="roomstream")
    except RoomstreamError as error:
        notes.print("[bold red]roomstream:[/] ", end="")
        notes.print(str(error), markup=False, soft_wrap=True)
        sys.exit(error.exit_code)
