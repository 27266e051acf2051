"""`roomstream dead`: what could not be handled, why, and sending it back."""

from dataclasses import asdict, dataclass
from typing import Annotated, Literal

import typer

from roomstream.commands.output import Json, counting, out, print_json, print_table
from roomstream.commands.times import ago
from roomstream.letter_replay import Replay, Tally
from roomstream.letters import INPUTS, Choice, Replayed
from roomstream.options import with_settings
from roomstream.reading import TopicReader
from runtime.dead_letters import DeadLetter, read_dead_letter, replayed_offset
from runtime.logs import configure_logs
from runtime.permissions import permitted, reading, replay_access
from runtime.settings import KafkaSettings, SharedSettings
from schemas.errors import ConfigurationError
from schemas.topics import Topic

app = typer.Typer(no_args_is_help=True, help="What could not be handled, and why.")

_Disposition = Literal["poison", "systemic", "any"]
_Stage = Annotated[
    str | None, typer.Option(help="Only letters that failed there: decode, infer, label, encode.")
]
_Error = Annotated[
    str | None, typer.Option(help="Only letters of this class of error, such as missing_field.")
]
_Release = Annotated[
    str | None, typer.Option(help="Only letters that died under this release; '' for none.")
]
_Which = Annotated[
    _Disposition,
    typer.Option(help="poison: will never work as it is; systemic: may work now; or any."),
]
_Origin = Annotated[
    str | None,
    typer.Option(help="Only letters that came from this topic: listings, labelled or deletions."),
]
_Since = Annotated[str | None, typer.Option(help="Only letters of the last 90s, 30m, 24h or 7d.")]


@dataclass(frozen=True)
class _Group:
    stage: str
    error: str
    release: str | None
    disposition: str
    topic: str


@dataclass
class _Count:
    """How many letters of a group there are, and the last of them."""

    last: DeadLetter
    letters: int = 0
    replayed: int = 0


@app.command("list")
@with_settings(KafkaSettings, SharedSettings)
def show(
    kafka: KafkaSettings,
    shared: SharedSettings,
    stage: _Stage = None,
    error: _Error = None,
    release: _Release = None,
    disposition: _Which = "any",
    topic: _Origin = None,
    since: _Since = None,
    as_json: Json = False,
) -> None:
    """Group the dead letters by stage, error, release, disposition and topic, with an example of each."""
    choice = _choice(shared.topic_prefix, stage, error, release, disposition, topic, since)
    with permitted(kafka, shared.topic_prefix, reading(Topic.DEAD)):
        groups = _counted(kafka, shared.topic_prefix, choice)
    ranked = sorted(groups.items(), key=lambda item: -item[1].letters)
    if as_json:
        print_json([_facts(group, count) for group, count in ranked])
    elif not ranked:
        out.print("There are no dead letters." if choice == Choice() else "No letter is chosen.")
    else:
        _table(ranked)


@app.command("replay")
@with_settings(KafkaSettings, SharedSettings)
def replay(
    kafka: KafkaSettings,
    shared: SharedSettings,
    stage: _Stage = None,
    error: _Error = None,
    release: _Release = None,
    disposition: _Which = "systemic",
    topic: _Origin = None,
    since: _Since = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Send no more than so many.")] = None,
    max_attempts: Annotated[
        int, typer.Option(min=1, help="Leave letters that have failed so often.")
    ] = 3,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be sent.")
    ] = False,
    as_json: Json = False,
) -> None:
    """
    Send dead letters back to the topics that they came from, each of them once.

    What was sent is noted on the dead-letter topic in the same transaction: nothing is sent twice,
    whatever is killed and whoever else replays. It needs brokers with transactions.
    """
    configure_logs("dead-replay", shared.log_level)
    choice = _choice(shared.topic_prefix, stage, error, release, disposition, topic, since)
    made = Replay(kafka, shared.topic_prefix, choice, max_attempts, limit)
    with (
        permitted(kafka, shared.topic_prefix, replay_access(shared.topic_prefix)),
        counting("dead letters read, markers first") as counted,
    ):
        tally = made.preview(counted) if dry_run else made.run(counted)
    if as_json:
        print_json({"dry_run": dry_run, **asdict(tally)})
    else:
        _summary(tally, dry_run)


def _choice(
    prefix: str,
    stage: str | None,
    error: str | None,
    release: str | None,
    disposition: _Disposition,
    topic: str | None,
    since: str | None,
) -> Choice:
    return Choice(
        stage,
        error,
        release,
        None if disposition == "any" else disposition,
        None if topic is None else _origin(prefix, topic),
        None if since is None else ago("--since", since),
    )


def _origin(prefix: str, topic: str) -> str:
    names = {name: role.named(prefix) for role in INPUTS for name in (role, role.named(prefix))}
    if topic not in names:
        raise ConfigurationError(
            f"--topic {topic}: letters come from {', '.join(INPUTS)}. Give one of these."
        )
    return names[topic]


def _counted(kafka: KafkaSettings, prefix: str, choice: Choice) -> dict[_Group, _Count]:
    groups: dict[_Group, _Count] = {}
    replayed = Replayed()
    with (
        TopicReader(kafka, prefix, Topic.DEAD) as reader,
        counting("dead letters read, markers first") as counted,
    ):
        for record in counted(reader.read_to_end()):
            replayed.note(record)
        reader.rewind()
        for record in counted(reader.read_to_end()):
            if replayed_offset(record) is not None:
                continue
            letter = read_dead_letter(record)
            if choice.takes(letter):
                count = groups.setdefault(_group(letter), _Count(letter))
                count.last = letter
                count.letters += 1
                count.replayed += replayed.has(record)
    return groups


def _group(letter: DeadLetter) -> _Group:
    return _Group(letter.stage, letter.error, letter.release, letter.disposition, letter.topic)


def _table(ranked: list[tuple[_Group, _Count]]) -> None:
    print_table(
        ("letters", "replayed", "stage", "error", "release", "disposition", "last one", "why"),
        [
            (
                f"{count.letters:,}",
                f"{count.replayed:,}",
                group.stage,
                group.error,
                group.release or "",
                group.disposition,
                _place(count.last),
                count.last.message,
            )
            for group, count in ranked
        ],
    )


def _facts(group: _Group, count: _Count) -> dict[str, object]:
    last = count.last
    return {
        "letters": count.letters,
        "replayed": count.replayed,
        **asdict(group),
        "last": {
            "partition": last.partition,
            "offset": last.offset,
            "attempts": last.attempts,
            "message": last.message,
        },
    }


def _place(letter: DeadLetter) -> str:
    return f"{letter.topic}[{letter.partition}]@{letter.offset}"


def _summary(tally: Tally, dry_run: bool) -> None:
    numbers = {
        "would be sent" if dry_run else "sent": tally.sent,
        "replayed before": tally.already_replayed,
        "given up": tally.given_up,
        "not replayable": tally.not_replayable,
        "left by --limit": tally.left,
        "not chosen": tally.not_chosen,
    }
    print_table(tuple(numbers), [[f"{number:,}" for number in numbers.values()]])
    for fault in tally.faults:
        out.print(f"Not replayable: {fault}", markup=False, soft_wrap=True)
