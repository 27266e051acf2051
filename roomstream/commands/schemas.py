"""`roomstream schemas`: the wire contract for other languages."""

from pathlib import Path
from typing import Annotated

import typer

from roomstream.commands.output import out
from schemas.errors import ExitCode

app = typer.Typer(no_args_is_help=True, help="The wire contract for other languages.")


@app.command("export")
def export(
    folder: Annotated[Path, typer.Argument(help="Where to write.")] = Path("schemas"),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if a file there is not current.")
    ] = False,
) -> None:
    """Write JSON Schema and Avro of every event, and AsyncAPI 3 of every topic."""
    from schemas.export import exported_files

    files = exported_files()
    if not check:
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        out.print(f"{len(files)} files written to {folder}.")
        return
    stale = [name for name, text in files.items() if _read(folder / name) != text]
    if stale:
        out.print(f"Not current in {folder}: {', '.join(stale)}. Run 'roomstream schemas export'.")
        raise typer.Exit(ExitCode.FAILED)
    out.print(f"All {len(files)} files in {folder} are current.")


def _read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None
