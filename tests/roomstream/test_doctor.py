"""How the doctor judges what it has measured, and that no check stops another."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from roomstream.doctor.clock import judge as judge_clock
from roomstream.doctor.connection import _certificate
from roomstream.doctor.examination import within
from roomstream.doctor.findings import Deployment, Finding
from roomstream.doctor.machine import judge_disk, judge_files
from roomstream.doctor.topics import judge as judge_topics
from runtime.settings import KafkaSettings, SharedSettings
from runtime.topics import TopicStatus
from schemas.topics import TOPICS, Topic

DEPLOYMENT = Deployment(KafkaSettings(), SharedSettings(), "workers", Path("trainer.sqlite"))
GIB = 1024**3


def status(topic: Topic, **facts: object) -> TopicStatus:
    """A topic that is as it should be, but for some facts."""
    spec = next(spec for spec in TOPICS if spec.topic is topic)
    right = {"partitions": 4, "replication_factor": 3, "least_copies": "2"}
    return TopicStatus(topic.value, spec, **{**right, **facts})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "state", "says"),
    [
        ({}, "ok", "as they should be"),
        ({"partitions": 0, "replication_factor": 0}, "failed", "There is no topic labelled"),
        ({"replication_factor": 1, "least_copies": "1"}, "warning", "One copy only: labelled"),
        ({"least_copies": "1"}, "warning", "may have one copy only"),
        ({"least_copies": "3"}, "warning", "while a broker is down"),
        ({"least_copies": "4"}, "failed", "nothing can be sent"),
        ({"differs": ("retention.ms is 9, should be -1",)}, "failed", "ground truth, get lost"),
        ({"lacks": ("DescribeConfigs",)}, "warning", "may not describe"),
    ],
)
def test_topics_are_judged(facts: dict[str, object], state: str, says: str) -> None:
    """By whether a message, once confirmed, can get lost or nothing can be sent."""
    (finding,) = judge_topics([status(Topic.LABELLED, **facts)])

    assert finding.state == state
    assert says in finding.says
    assert finding.next_step or state == "ok"


@pytest.mark.parametrize(
    ("ahead", "unsure", "state"),
    [
        (0.2, 0.1, "ok"),
        (-1.5, 1, "ok"),
        (2, 0.1, "warning"),
        (-3600, 0.1, "failed"),
        (61, 0.1, "failed"),
    ],
)
def test_a_clock_is_judged(ahead: float, unsure: float, state: str) -> None:
    """By what is certain: a slow answer proves no skew."""
    assert judge_clock(ahead, unsure).state == state


@pytest.mark.parametrize(("days", "state"), [(400, "ok"), (31, "ok"), (29, "warning")])
def test_a_certificate_is_judged(days: int, state: str) -> None:
    """A month is time enough to renew it."""
    now = datetime(2026, 11, 24, tzinfo=UTC)

    assert _certificate(now + timedelta(days=days), now).state == state


@pytest.mark.parametrize(("free", "state"), [(6, "ok"), (4, "warning"), (0.4, "failed")])
def test_a_disk_is_judged(free: float, state: str) -> None:
    """By whether the next releases fit."""
    assert judge_disk("cache", int(free * GIB)).state == state


@pytest.mark.parametrize(("limit", "state"), [(4096, "ok"), (512, "warning"), (64, "failed")])
def test_a_limit_of_files_is_judged(limit: int, state: str) -> None:
    """By what a process of many partitions needs."""
    assert judge_files(limit).state == state


def test_a_check_that_hangs_is_left() -> None:
    """What it found before counts; then it has failed."""

    def hanging(_: Deployment) -> Iterator[Finding]:
        yield Finding("store", "ok", "begun")
        time.sleep(30)

    started = time.monotonic()
    found = list(within(0.3, "store", hanging, DEPLOYMENT))

    assert time.monotonic() - started < 10
    assert [finding.state for finding in found] == ["ok", "failed"]
    assert "No answer within" in found[1].says


def test_a_check_that_breaks_is_a_finding() -> None:
    """It says that it is ours."""

    def broken(_: Deployment) -> Iterator[Finding]:
        yield Finding("disk", "ok", "begun")
        raise ZeroDivisionError("0")

    found = list(within(10, "disk", broken, DEPLOYMENT))

    assert "bug" in found[-1].says
    assert found[-1].state == "failed"
