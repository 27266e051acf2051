"""`roomstream dead replay` on a real Kafka: each letter goes back once, whatever is done to it."""

import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial

import pytest

from roomstream.reading import TopicReader
from runtime.dead_letters import dead_letter
from runtime.records import Record
from runtime.settings import KafkaSettings, SharedSettings
from schemas.errors import ExitCode
from schemas.events import MAX_PAYLOAD_BYTES
from schemas.topics import Topic
from tests.integration.test_command import Command
from tests.kafka_io import Message, send
from tests.processes import eventually, python
from tests.workers.brokers import ON_EMBEDDED, ON_KAFKA

BATCHES_OF_TEN = """
    from roomstream.letter_replay import Replay
    from roomstream.letters import Choice
    from runtime.settings import KafkaSettings, load
    from schemas.errors import TryAgain
    try:
        print(Replay(load(KafkaSettings), {prefix!r}, Choice(), batch=10).run().sent)
    except TryAgain as error:
        print(error)
        raise SystemExit(75)
"""


@pytest.fixture
def roomstream(kafka_settings: KafkaSettings, topics: str, tmp_path: object) -> Command:
    """The command on topics of this test."""
    return Command(kafka_settings, SharedSettings(store=f"file://{tmp_path}", topic_prefix=topics))


def letters(topic: str, count: int, error: str = "inference", attempts: int = 1) -> list[Message]:
    """Dead letters as the services write them; the value of each is its number."""
    made: list[Message] = []
    for number in range(count):
        record = Record(
            topic,
            number % 4,
            1_000 + number,
            b"l-%d" % (number % 7) if number % 5 else None,
            b"%d" % number,
            (("traceparent", b"00-%d" % number), ("dead-attempts", b"%d" % (attempts - 1))),
            0,
        )
        letter = dead_letter("dead", record, stage="infer", error=error, message="No.")
        made.append((letter.key, letter.value, letter.headers))
    return made


def read(kafka: KafkaSettings, prefix: str, topic: Topic) -> list[Record]:
    """All that a reader of committed messages sees."""
    with TopicReader(kafka, prefix, topic) as reader:
        return list(reader.read_to_end())


def values(records: Sequence[Record]) -> Counter[bytes | None]:
    """How often each value came."""
    return Counter(record.value for record in records)


def start(kafka: KafkaSettings, prefix: str) -> "subprocess.Popen[str]":
    """A replay in a process of its own, in small transactions."""
    return subprocess.Popen(
        python(BATCHES_OF_TEN.format(prefix=prefix)),
        env=Command(kafka, SharedSettings(topic_prefix=prefix)).environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def sends(running: "subprocess.Popen[str]", kafka: KafkaSettings, prefix: str, before: int) -> bool:
    """Whether a replay has sent something, or has ended."""
    return running.poll() is not None or len(read(kafka, prefix, Topic.LISTINGS)) > before


@ON_KAFKA
def test_a_killed_replay_goes_on_where_it_was(kafka_settings: KafkaSettings, topics: str) -> None:
    """Killed at random moments and run again: every letter went back exactly once."""
    send(
        kafka_settings,
        Topic.DEAD.named(topics),
        letters(Topic.LISTINGS.named(topics), 1_500),
    )
    chance, went, killed = random.Random(3), 0, 0
    for _ in range(5):
        with start(kafka_settings, topics) as running:
            eventually(partial(sends, running, kafka_settings, topics, went), "it sends")
            time.sleep(chance.uniform(0, 0.3))
            running.send_signal(signal.SIGKILL)
            killed += running.wait() == -signal.SIGKILL
        went = len(read(kafka_settings, topics, Topic.LISTINGS))
    with start(kafka_settings, topics) as last:
        said, _ = last.communicate(timeout=120)
    found = read(kafka_settings, topics, Topic.LISTINGS)

    assert killed > 0
    assert last.returncode == 0, said
    assert said.strip() == str(1_500 - went)
    assert values(found) == Counter(b"%d" % number for number in range(1_500))


@ON_KAFKA
def test_of_two_replays_at_once_each_letter_goes_back_once(
    kafka_settings: KafkaSettings, topics: str
) -> None:
    """The later one fences the earlier one, which says so and that nothing was sent twice."""
    send(kafka_settings, Topic.DEAD.named(topics), letters(Topic.LISTINGS.named(topics), 1_500))
    with start(kafka_settings, topics) as first:
        eventually(partial(sends, first, kafka_settings, topics, 0), "the first one sends")
        with start(kafka_settings, topics) as second:
            said, _ = first.communicate(timeout=120)
            second.communicate(timeout=120)
    with start(kafka_settings, topics) as third:
        third.communicate(timeout=120)

    assert first.returncode == ExitCode.TRY_AGAIN
    assert "Another replay took over" in said
    assert "nothing was sent twice" in said
    assert third.returncode == ExitCode.DONE
    found = read(kafka_settings, topics, Topic.LISTINGS)
    assert values(found) == Counter(b"%d" % number for number in range(1_500))


@ON_KAFKA
def test_letters_go_back_as_they_came(
    roomstream: Command, kafka_settings: KafkaSettings, topics: str
) -> None:
    """Key, value, headers and partition; a summary says what was left, and `dead list` what went."""
    listings, labelled = Topic.LISTINGS.named(topics), Topic.LABELLED.named(topics)
    foreign, cut = letters("elsewhere", 1), letters(listings, 1)
    oversized = [(cut[0][0], b"x" * (MAX_PAYLOAD_BYTES + 1), cut[0][2])]
    mixed = [
        *letters(listings, 9),
        *letters(listings, 4, attempts=3),
        *letters(labelled, 3, error="unknown_label"),
        *letters(listings, 2, error="not_json"),
        *foreign,
        *oversized,
    ]
    send(kafka_settings, Topic.DEAD.named(topics), mixed)

    preview = roomstream.json("dead", "replay", "--dry-run")
    limited = roomstream.json("dead", "replay", "--limit", "5", "--topic", "listings")
    rest = roomstream("dead", "replay")
    repeated = roomstream.json("dead", "replay", "--since", "1h", "--error", "inference")
    poison = roomstream.json("dead", "replay", "--disposition", "poison")
    listed = roomstream.json("dead", "list", "--topic", "labelled")
    groups = {(x["error"], x["topic"]): x for x in roomstream.json("dead", "list")}

    assert preview["dry_run"]
    assert (preview["sent"], preview["given_up"], preview["not_replayable"]) == (12, 4, 2)
    assert (limited["sent"], limited["left"], limited["not_chosen"]) == (5, 4, 6)
    assert rest.returncode == 0, rest.stderr
    assert "'elsewhere'" in rest.stdout
    assert f"the original was at {listings}[0]@1000" in rest.stdout
    assert (repeated["sent"], repeated["already_replayed"]) == (0, 9)
    assert poison["sent"] == 2
    assert [(x["letters"], x["replayed"], x["release"]) for x in listed] == [(3, 3, None)]
    assert groups["inference", listings]["letters"] == 14
    assert groups["inference", listings]["replayed"] == 9
    back = read(kafka_settings, topics, Topic.LISTINGS)
    assert len(back) == 11
    assert len(read(kafka_settings, topics, Topic.LABELLED)) == 3
    for record in back:
        number = int(record.value or b"")
        assert record.partition == number % 4
        assert record.key == (b"l-%d" % (number % 7) if number % 5 else None)
        assert record.headers == (("traceparent", b"00-%d" % number), ("dead-attempts", b"1"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [((), "have no transactions"), (("--topic", "dead"), "--topic"), (("--since", "9"), "24h")],
)
@ON_EMBEDDED
def test_what_cannot_be_replayed_is_said_at_once(
    roomstream: Command, arguments: tuple[str, ...], says: str
) -> None:
    """Brokers without transactions and options that mean nothing end with exit code 2."""
    done = roomstream("dead", "replay", *arguments)

    assert done.returncode == ExitCode.USAGE
    assert says in done.stderr
