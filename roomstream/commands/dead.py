"""`roomstream dead`: what could not be handled, and why."""

from collections import defaultdict
from dataclasses import dataclass

import typer

from roomstream.commands.output import Json, counting, out, print_json, print_table
from roomstream.options import with_settings
from roomstream.reading import TopicReader
from runtime.dead_letters import DeadLetter, read_dead_letter
from runtime.permissions import permitted, reading
from runtime.settings import KafkaSettings, SharedSettings
from schemas.topics import Topic

app = typer.Typer(no_args_is_help=True, help="What could not be handled, and why.")


@dataclass(frozen=True)
class _Group:
    stage: str
    error: str
    disposition: str
    topic: str


@app.command("list")
@with_settings(KafkaSettings, SharedSettings)
def show(kafka: KafkaSettings, shared: SharedSettings, as_json: Json = False) -> None:
    """Group the dead letters by stage, error and disposition, with one example of each."""
    groups: dict[_Group, list[DeadLetter]] = defaultdict(list)
    with (
        permitted(kafka, shared.topic_prefix, reading(Topic.DEAD)),
        TopicReader(kafka, shared.topic_prefix, Topic.DEAD) as reader,
        counting("dead letters read") as counted,
    ):
        for record in counted(reader.read_to_end()):
            letter = read_dead_letter(record)
            key = _Group(letter.stage, letter.error, letter.disposition, letter.topic)
            groups[key].append(letter)
    ranked = sorted(groups.items(), key=lambda item: -len(item[1]))
    if as_json:
        print_json([_facts(group, letters) for group, letters in ranked])
        return
    if not ranked:
        out.print("There are no dead letters.")
        return
    print_table(
        ("letters", "stage", "error", "disposition", "last one", "why"),
        [
            (
                f"{len(letters):,}",
                group.stage,
                group.error,
                group.disposition,
                _place(letters[-1]),
                letters[-1].message,
            )
            for group, letters in ranked
        ],
    )


def _facts(group: _Group, letters: list[DeadLetter]) -> dict[str, object]:
    last = letters[-1]
    return {
        "letters": len(letters),
        "stage": group.stage,
        "error": group.error,
        "disposition": group.disposition,
        "topic": group.topic,
        "last": {
            "partition": last.partition,
            "offset": last.offset,
            "release": last.release,
            "attempts": last.attempts,
            "message": last.message,
        },
    }


def _place(letter: DeadLetter) -> str:
    return f"{letter.topic}[{letter.partition}]@{letter.offset}"
