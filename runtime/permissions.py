"""
What each role does with topics and groups, and whether the brokers let it.

Kafka tells a user what they may do with a topic or group (KIP-430). Asking at start names everything
that is missing at once; without it a client waits, or fails at its first message. Transactional ids
cannot be asked about: they are named when one is refused.
"""

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ACLOperation
from kafka.errors import CoordinatorNotAvailableError, GroupAuthorizationFailedError
from kafka.protocol.admin import DescribeGroupsRequest

from runtime.denials import Lack, denial, denied_code
from runtime.kafka import admin_client
from runtime.retrying import retry
from runtime.settings import KafkaSettings
from runtime.stopping import Stopped
from schemas.errors import ConfigurationError, TryAgain
from schemas.topics import Topic

TRAINER_GROUP = "roomstream-trainer"
"""The group by which one trainer at a time is chosen; the topic prefix is put before it."""

REPLAY_ID = "roomstream-dead-replay"
"""The transactional id of every replay, so that one goes on at a time; the prefix is put before it."""

_UNKNOWN_TOPIC, _UNAUTHORISED, _TRANSACTIONAL_ID = 3, 29, 53
_COORDINATOR_WITHIN_SECONDS = 8
_DESCRIBE_GROUPS = 5  # the last version that speaks of groups that have not met yet


@dataclass(frozen=True)
class Access:
    """
    What a process does on the brokers.

    Attributes:
        role: Who does it, such as `the worker`.
        topics: The operations on each topic, by Kafka's names.
        groups: The operations on each group, by its name on the broker.
        transactional_id: Write on the one, or those that begin so, under which it writes, if any.
    """

    role: str
    topics: Mapping[Topic, Sequence[str]]
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    transactional_id: Lack | None = None


def worker_access(group: str) -> Access:
    """What a worker does, of either engine, whose consumer group is called so on the broker."""
    reads = dict.fromkeys((Topic.LISTINGS, Topic.RELEASES), ("Read",))
    results = (Topic.CLASSIFIED, Topic.SHADOW, Topic.REVIEW, Topic.DEAD)
    writes = dict.fromkeys(results, ("Write",))
    slots = Lack("Write", "transactional-id", f"{group}-", prefixed=True)
    return Access("the worker", reads | writes, {group: ("Read",)}, slots)


def trainer_access(prefix: str) -> Access:
    """What the trainer does."""
    topics = {
        Topic.LABELLED: ("Read",),
        Topic.DELETIONS: ("Read",),
        Topic.RELEASES: ("Read", "Write"),
        Topic.DEAD: ("Write",),
    }
    return Access("the trainer", topics, {prefix + TRAINER_GROUP: ("Read",)})


def operator_access(group: str) -> Access:
    """What an operator's commands do, all together; `group` is that of the workers."""
    looks = ("Describe", "DescribeConfigs", "Create")
    topics = {topic: [*looks, *_OPERATOR.get(topic, ())] for topic in Topic}
    return Access("the operator", topics, {group: ("Describe",)})


_OPERATOR = {
    Topic.LISTINGS: ("Read", "Write"),
    Topic.CLASSIFIED: ("Read",),
    Topic.REVIEW: ("Read",),
    Topic.LABELLED: ("Read", "Write"),
    Topic.DELETIONS: ("Read", "Write"),
    Topic.RELEASES: ("Read", "Write"),
    Topic.DEAD: ("Read", "Write"),
}


def reviewer_access() -> Access:
    """What a person does who labels what is asked; an operator may do all of it."""
    topics = {
        Topic.REVIEW: ("Read",),
        Topic.LABELLED: ("Read", "Write"),
        Topic.DELETIONS: ("Read",),
    }
    return Access("the reviewer", topics)


def audit_access(group: str) -> Access:
    """What the audit does; `group` is that of the workers."""
    topics = dict.fromkeys((Topic.LISTINGS, Topic.CLASSIFIED, Topic.DEAD), ("Read",))
    return Access("the audit", topics, {group: ("Describe",)})


def replay_access(prefix: str) -> Access:
    """What sending dead letters back does."""
    back = dict.fromkeys((Topic.LISTINGS, Topic.LABELLED, Topic.DELETIONS), ("Write",))
    topics = back | {Topic.DEAD: ("Read", "Write")}
    one = Lack("Write", "transactional-id", prefix + REPLAY_ID)
    return Access("the replay", topics, transactional_id=one)


def reading(*topics: Topic) -> Access:
    """What a command does that only reads topics, from their beginning."""
    return Access("this command", dict.fromkeys(topics, ("Read",)))


@contextlib.contextmanager
def permitted(
    settings: KafkaSettings,
    prefix: str,
    access: Access,
    stop: threading.Event | None = None,
    wait_seconds: float = 0,
) -> Iterator[None]:
    """
    Check some access, then run a block that makes use of it; what is refused in it is named too.

    Args:
        settings: How to reach Kafka.
        prefix: What the names of topics begin with.
        access: What the block does.
        stop: Ends the wait for brokers that are out of reach.
        wait_seconds: How long to wait for them.

    Raises:
        ConfigurationError: Names all that is missing, and how to mend it.
        Stopped: The process was told to stop.
        TryAgain: The broker cannot be reached.
    """
    retry(lambda: require_access(settings, prefix, access), stop or threading.Event(), wait_seconds)
    try:
        yield
    except Stopped:
        raise
    except Exception as error:
        # Not every library keeps the refusal that it fails from, so ask again.
        with contextlib.suppress(TryAgain):
            require_access(settings, prefix, access)
        if not (code := denied_code(error)):
            raise
        refused = access.transactional_id
        lacks = [refused] if refused and code == _TRANSACTIONAL_ID else []
        raise ConfigurationError(denial(settings, access.role, lacks, repr(error))) from error


def require_access(settings: KafkaSettings, prefix: str, access: Access) -> None:
    """
    Check that topics exist and that this user may do with them what a process will do.

    Raises:
        ConfigurationError: Names all that is missing, and how to mend it.
        TryAgain: The broker cannot be reached.
    """
    with admin_client(settings) as admin:
        lacks = find_lacks(admin, prefix, access)
    if absent := [lack.name for lack in lacks if not lack.operation]:
        raise ConfigurationError(
            f"Kafka at {settings.bootstrap_servers} has no topic {', '.join(absent)}. Run "
            "'roomstream topics create', or set ROOMSTREAM_TOPIC_PREFIX to the prefix of yours."
        )
    if lacks:
        raise ConfigurationError(denial(settings, access.role, lacks))


def find_lacks(admin: KafkaAdminClient, prefix: str, access: Access) -> list[Lack]:
    """
    What of some access is missing. Brokers that do not tell leave none missing.

    Raises:
        KafkaError: The broker does not answer.
    """
    wanted = {topic.named(prefix): operations for topic, operations in access.topics.items()}
    lacks = []
    for found in admin.describe_topics(list(wanted)):
        lacks += _topic_lacks(found, wanted[found["name"]])
    for group, operations in access.groups.items():
        lacks += _group_lacks(admin, group, operations)
    return lacks


def _topic_lacks(found: Mapping[str, Any], operations: Sequence[str]) -> list[Lack]:
    name, error, allowed = found["name"], found["error_code"], found["authorized_operations"]
    if error == _UNAUTHORISED:
        return [Lack(operation, "topic", name, hidden=True) for operation in operations]
    if error == _UNKNOWN_TOPIC:
        return [Lack("", "topic", name)]
    return _not_among(allowed, operations, "topic", name)


def _group_lacks(admin: KafkaAdminClient, group: str, operations: Sequence[str]) -> list[Lack]:
    deadline = time.monotonic() + _COORDINATOR_WITHIN_SECONDS
    while True:
        try:
            allowed = _group_operations(admin, group)
        except GroupAuthorizationFailedError:
            return [Lack(operation, "group", group) for operation in operations]
        except CoordinatorNotAvailableError:  # a new cluster makes its topic of offsets now
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return _not_among(allowed, operations, "group", group)


def _group_operations(admin: KafkaAdminClient, group: str) -> list[str]:
    """KafkaAdminClient would ask in a way that says nothing of a group that has not met yet."""

    async def ask() -> Any:
        coordinators = await admin._find_coordinator_ids([group])
        request = DescribeGroupsRequest(
            groups=[group], include_authorized_operations=True, max_version=_DESCRIBE_GROUPS
        )
        return await admin._manager.send(request, node_id=coordinators[group])

    described = admin._manager.run(ask).groups[0]
    if described.error_code == GroupAuthorizationFailedError.errno:
        raise GroupAuthorizationFailedError
    return [each.name for each in ACLOperation if each in (described.authorized_operations or ())]


def _not_among(
    allowed: Sequence[str] | None, operations: Sequence[str], kind: str, name: str
) -> list[Lack]:
    if not allowed:  # the broker does not tell
        return []
    known = {operation.replace("_", "") for operation in allowed}
    return [Lack(each, kind, name) for each in operations if each.upper() not in known]
