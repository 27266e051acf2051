"""Whether the topics are there, kept as they should be, and safe from the loss of a broker."""

from collections.abc import Iterator, Sequence

from roomstream.doctor.findings import Deployment, Finding
from runtime.topics import TopicStatus, describe_topics
from schemas.topics import Topic


def topics(deployment: Deployment) -> Iterator[Finding]:
    """Compare what the broker has with the table of topics."""
    yield from judge(describe_topics(deployment.kafka, deployment.shared.topic_prefix))


def judge(statuses: Sequence[TopicStatus]) -> Iterator[Finding]:
    """Say what is wrong with topics, and that they are right where nothing is."""
    faults = [
        *_missing([each for each in statuses if not each.partitions and not each.lacks]),
        *(finding for each in statuses for finding in _settings(each)),
        *_copies([each for each in statuses if each.partitions]),
    ]
    yield from faults
    if unknown := [each.name for each in statuses if each.lacks]:
        yield Finding(
            "topics",
            "warning",
            f"Not all is known of {', '.join(unknown)}: this user may not describe them.",
            "Run this as an operator too.",
        )
    elif not faults:
        yield Finding("topics", "ok", f"All {len(statuses)} topics are as they should be.")


def _missing(statuses: Sequence[TopicStatus]) -> Iterator[Finding]:
    if names := [each.name for each in statuses]:
        yield Finding(
            "topics",
            "failed",
            f"There is no topic {', '.join(names)}.",
            "Run 'roomstream topics create', or set ROOMSTREAM_TOPIC_PREFIX to the prefix of yours.",
        )


def _settings(status: TopicStatus) -> Iterator[Finding]:
    if not status.differs:
        return
    forgets = status.spec.topic is Topic.LABELLED and any(
        each.startswith(("retention.ms", "cleanup.policy")) for each in status.differs
    )
    yield Finding(
        "topics",
        "failed" if forgets else "warning",
        f"{status.name}: {'; '.join(status.differs)}."
        + (" Labels, the ground truth, get lost." if forgets else ""),
        f"If it is not meant so: kafka-configs.sh --alter --topic {status.name} --add-config …",
    )


def _copies(statuses: Sequence[TopicStatus]) -> Iterator[Finding]:
    """A message that is confirmed must survive a broker, and a broker that is down stop nobody."""
    alone = [each for each in statuses if each.replication_factor == 1]
    if alone:
        yield Finding(
            "topics",
            "warning",
            f"One copy only: {_names(alone)}. What a broker loses is lost.",
            "On three brokers or more, use 3 copies (kafka-reassign-partitions.sh).",
        )
    many = [each for each in statuses if each not in alone and each.least_copies is not None]
    for status in many:
        least, copies = int(status.least_copies or 1), status.replication_factor
        if least == 1 or least >= copies:
            yield Finding(
                "topics",
                "failed" if least > copies else "warning",
                f"{status.name} has {copies} copies and min.insync.replicas={least}: "
                + (
                    "a confirmed message may have one copy only."
                    if least == 1
                    else "nothing can be sent while a broker is down."
                ),
                f"Set min.insync.replicas to {max(2, copies - 1)} where there are 3 copies or more.",
            )


def _names(statuses: Sequence[TopicStatus]) -> str:
    return ", ".join(each.name for each in statuses)
