"""The demo as people start it: it ends by itself, and what it reports is what is on the topics."""

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from roomstream.brokers import Broker
from roomstream.reading import TopicReader
from runtime.dead_letters import read_dead_letter
from runtime.records import Record
from runtime.settings import KafkaSettings
from schemas.codec import Rejected, decode
from schemas.events import Classification, LabelledEvent
from schemas.topics import Topic

EVENTS = 700


@dataclass
class Demo:
    """A demo that runs in a process of its own."""

    process: subprocess.Popen[str]
    report: Path

    def wait_until_sent(self, messages: int) -> None:
        """Read its output until so many messages are sent."""
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            found = re.match(r"([\d,]+)/[\d,]+ sent", line)
            if found and int(found[1].replace(",", "")) >= messages:
                return
        pytest.fail("the demo ended early:\n" + "".join(lines))

    def kill(self, command: str) -> None:
        """SIGKILL one of its processes, the first worker or the trainer."""
        children = psutil.Process(self.process.pid).children()
        next(child for child in children if child.cmdline()[-1] == command).kill()

    def end(self) -> dict[str, Any]:
        """Wait for its end; what it reports."""
        output, _ = self.process.communicate(timeout=200)
        assert self.process.returncode == 0, output
        figures: dict[str, Any] = json.loads(self.report.read_text())
        return figures


@contextlib.contextmanager
def demo(folder: Path, *options: str) -> Iterator[Demo]:
    report = folder / "report.json"
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "roomstream", "demo", "--report", str(report), *options],
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield Demo(process, report)
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=40)
        assert process.stdout is not None
        process.stdout.close()


def test_the_demo_shows_learning_without_a_stop(tmp_path: Path) -> None:
    """On its own broker: nothing lost, releases taken up while serving, accuracy rises."""
    with demo(tmp_path, "--events", str(EVENTS), "--labelled", "0.4") as running:
        report = running.end()

    assert report["events_sent"] == EVENTS
    assert report["classified"] + report["dead"] + report["skipped"] == EVENTS
    assert (report["missing"], report["repeated"], report["unexpected"]) == (0, 0, [])
    assert report["labels_sent"] == report["labels_learned"] + report["labels_doubted"] > 0
    assert report["releases"] >= 3
    assert len(report["reloads"]) == 2
    assert min(report["reloads"].values()) >= 2
    assert (report["worker_restarts"], report["trainer_restarts"]) == (0, 0)
    assert report["accuracy_last_quarter"] > report["accuracy_first_quarter"]
    assert report["label_to_live_seconds_median"] > 0
    assert list(tmp_path.glob("roomstream-*")) == []


@pytest.mark.parametrize("broker", ["embedded_broker"], ids=["embedded"], indirect=True)
def test_a_killed_worker_and_trainer_lose_nothing(
    tmp_path: Path, broker: Broker, kafka_settings: KafkaSettings
) -> None:
    """After SIGKILL of one worker and the trainer, what is on the topics fits, id by id."""
    options = ("--events", str(EVENTS), "--keep", "--bootstrap-servers", broker.bootstrap_servers)
    with demo(tmp_path, *options) as running:
        running.wait_until_sent(200)
        running.kill("worker")
        time.sleep(3)
        running.kill("trainer")
        report = running.end()

    assert (report["missing"], report["unexpected"]) == (0, [])
    assert (report["worker_restarts"], report["trainer_restarts"]) == (1, 1)
    assert report["labels_learned"] + report["labels_doubted"] == report["labels_sent"]
    with TopicReader(kafka_settings, report["topic_prefix"], *Topic) as reader:
        topics = by_topic(reader, report["topic_prefix"])
    outcomes_fit(topics, report)
    taken_exactly(topics[Topic.LABELLED], Path(report["folder"]) / "trainer.sqlite")


def outcomes_fit(topics: dict[Topic, list[Record]], report: dict[str, Any]) -> None:
    """Each message of `listings` has exactly the outcome that it deserves."""
    classified, dead = Counter[tuple[int, int]](), Counter[tuple[int, int]]()
    ids = {}
    for record in topics[Topic.CLASSIFIED]:
        answer = decode(Topic.CLASSIFIED, record.value or b"", record.headers)
        assert isinstance(answer, Classification)
        classified[answer.input.partition, answer.input.offset] += 1
        ids[answer.input.partition, answer.input.offset] = answer.event_id
    for record in topics[Topic.DEAD]:
        letter = read_dead_letter(record)
        dead[letter.partition, letter.offset] += 1
    for record in topics[Topic.LISTINGS]:
        place = (record.partition, record.offset)
        event = decode(Topic.LISTINGS, record.value, record.headers) if record.value else None
        assert (place in classified) == (event is not None and not isinstance(event, Rejected))
        assert (place in dead) == isinstance(event, Rejected)
        assert ids.get(place) == getattr(event, "event_id", None)

    assert len(topics[Topic.LISTINGS]) == EVENTS
    assert (len(classified), len(dead)) == (report["classified"], report["dead"])
    assert classified.total() + dead.total() - len(classified) - len(dead) == report["repeated"]


def taken_exactly(labelled: list[Record], database: Path) -> None:
    """Every label that was sent was learned or held back once, and nothing else."""
    events = [decode(Topic.LABELLED, record.value or b"", record.headers) for record in labelled]
    sent = sorted(event.event_id for event in events if isinstance(event, LabelledEvent))
    with contextlib.closing(sqlite3.connect(database)) as connection:
        query = "SELECT event_id FROM labels UNION ALL SELECT event_id FROM suspects"
        taken = sorted(row[0] for row in connection.execute(query))

    assert sent == taken


def by_topic(reader: TopicReader, prefix: str) -> dict[Topic, list[Record]]:
    """Everything that the topics hold."""
    topics: dict[Topic, list[Record]] = {topic: [] for topic in Topic}
    while records := reader.poll(3.0):
        for record in records:
            topics[Topic(record.topic.removeprefix(prefix))].append(record)
    return topics


def test_an_interrupted_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    """Ctrl-C ends every process and removes the working folder."""
    with demo(tmp_path) as running:
        running.wait_until_sent(10)
        processes = psutil.Process(running.process.pid).children(recursive=True)
        running.process.send_signal(signal.SIGINT)
        output, _ = running.process.communicate(timeout=40)

    assert running.process.returncode == 1
    assert "Stopped. No process is left running." in output
    assert len(processes) >= 4
    assert not any(process.is_running() for process in processes)
    assert list(tmp_path.glob("roomstream-*")) == []


def test_a_killed_demo_leaves_no_process(tmp_path: Path) -> None:
    """Broker, workers and trainer end with it, though it could not tell them to."""
    with demo(tmp_path) as running:
        running.wait_until_sent(10)
        processes = psutil.Process(running.process.pid).children(recursive=True)
        running.process.kill()
        _, alive = psutil.wait_procs(processes, timeout=10)

    assert len(processes) >= 4
    assert alive == []


def test_a_demo_that_takes_too_long_says_where_it_was(tmp_path: Path) -> None:
    """The limit ends it with exit code 1, the step that it was in and the ends of the logs."""
    with demo(tmp_path, "--limit-seconds", "3") as running:
        output, _ = running.process.communicate(timeout=60)

    assert running.process.returncode == 1
    assert "did not end within 3 s (--limit-seconds)" in output
    assert list(tmp_path.glob("roomstream-*")) == []
