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
from schemas.topics import Topic
from tests.integration.test_command import Command
from tests.kafka_io import Message, send
from tests.processes import eventually, python
from tests.workers.brokers import ON_KAFKA

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
    chance, went = random.Random(3), 0
    for _ in range(5):
        with start(kafka_settings, topics) as running:
            eventually(partial(sends, running, kafka_settings, topics, went), "it sends")
            time.sleep(chance.uniform(0, 0.3))
            running.send_signal(signal.SIGKILL)
            killed = running.wait() == -signal.SIGKILL
        went = len(read(kafka_settings, topics, Topic.LISTINGS))
    with start(kafka_settings, topics) as last:
        said, _ = last.communicate(timeout=120)
    found = read(kafka_settings, topics, Topic.LISTINGS)

    assert killed
    assert last.returncode == 0, said
    assert said.strip() == str(1_500 - went)
    assert values(found) == Counter(b"%d" % number for number in range(1_500))
