"""
Which of a deployment's trainers leads: the others stand by, and take over when it ends.

The broker chooses by a consumer group on `releases`, whose one partition only one member holds. That is
a hint, not the truth: a trainer that was paused may still believe that it leads. The truth is the claim
on the topic itself: every reader refuses what a lower epoch announces after it (`runtime.fencing`).
"""

import os
import socket
import threading
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import Any

import structlog
from kafka import KafkaConsumer
from kafka.admin import MemberToRemove
from kafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from kafka.errors import KafkaError
from kafka.protocol.consumer.metadata import (
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
)

from runtime.announcements import Announcements, claim
from runtime.broker_watch import BrokerWatch
from runtime.health import Health
from runtime.kafka import admin_client, has_transactions, kafka_arguments
from runtime.permissions import TRAINER_GROUP
from runtime.settings import KafkaSettings
from schemas.errors import RoomstreamError, TryAgain
from schemas.events import TrainerClaim
from schemas.topics import Topic
from trainer.lock import DatabaseLock

_log = structlog.get_logger(__name__)

_POLL_SECONDS = 0.2
_READ_SECONDS = 30
_MAX_POLL_SECONDS = 900
"""The longest step: to fetch a snapshot or to encode every kept listing again takes minutes."""


class Superseded(TryAgain):
    """Another trainer has taken the lead."""


class IncumbentFirst(AbstractPartitionAssignor):  # type: ignore[misc]
    """
    Gives the one partition to the member that held it last, so that a newcomer changes nothing.

    Members say in which generation of the group they last held it; one that was away says an old one.
    kafka-python's sticky assignors assign nothing as long as the topic's metadata is not there yet.
    """

    name = "roomstream-incumbent"
    _held_in = -1

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolSubscription:
        """What a member says of itself."""
        return ConsumerProtocolSubscription(0, sorted(topics), str(self._held_in).encode())

    def assign(
        self, cluster: object, members: Sequence[Any]
    ) -> dict[str, ConsumerProtocolAssignment]:
        """Choose one of the members."""
        chosen = max(members, key=lambda each: (int(each.metadata.user_data), each.member_id))
        return {
            each.member_id: ConsumerProtocolAssignment(
                0, [(topic, [0]) for topic in each.metadata.topics] if each is chosen else [], b""
            )
            for each in members
        }

    def on_assignment(self, assignment: ConsumerProtocolAssignment, generation: int) -> None:
        """Remember whether it is this one."""
        self._held_in = generation if assignment.partitions() else -1


class Leadership:
    """
    Membership in the group of trainers.

    Args:
        kafka: How to reach Kafka.
        prefix: What the names of topics and of the group begin with.
        session_seconds: A trainer that is not heard of for so long leads no more.
        lock: That of the database. It remembers the membership of a trainer that was killed, so that
            the next one need not wait for the end of its session.

    Raises:
        TryAgain: The broker cannot be reached.
    """

    def __init__(
        self, kafka: KafkaSettings, prefix: str, session_seconds: float, lock: DatabaseLock
    ) -> None:
        self._kafka = kafka
        self._prefix = prefix
        self._group = prefix + TRAINER_GROUP
        self._lock = lock
        self._forget_dead_self()
        try:
            self._consumer = KafkaConsumer(
                **kafka_arguments(kafka),
                group_id=self._group,
                partition_assignment_strategy=[IncumbentFirst()],
                session_timeout_ms=int(session_seconds * 1000),
                heartbeat_interval_ms=int(session_seconds * 1000 / 6),
                max_poll_interval_ms=_MAX_POLL_SECONDS * 1000,
                enable_auto_commit=False,
                auto_offset_reset="latest",
                allow_auto_create_topics=False,
            )
            self._consumer.subscribe([Topic.RELEASES.named(prefix)])
        except KafkaError as error:
            raise self._failed(error) from error

    def wait(self, stop: threading.Event, health: Health, brokers: BrokerWatch) -> bool:
        """
        Stand by until this trainer is to lead.

        Returns:
            Whether it is; False if it was told to stop before.

        Raises:
            TryAgain: The brokers have been out of reach for too long.
        """
        standing_by = False
        while not stop.is_set():
            self.poll(_POLL_SECONDS)
            if self._consumer.assignment():
                return True
            brokers.check()
            if not standing_by and self._consumer.group_metadata().generation_id >= 0:
                standing_by = True
                why = "standing by: another trainer leads"
                health.set("leader", False, why)
                _log.info(why, group=self._group)
        return False

    def claim(self) -> int:
        """
        Take the lead.

        Returns:
            The epoch, higher than any other on the topic.

        Raises:
            Superseded: Another trainer took the lead meanwhile.
            TryAgain: The topic cannot be read or written.
        """
        with closing(Announcements(self._kafka, self._prefix)) as announcements:
            announcements.read_all(_READ_SECONDS)
            while True:
                self.poll(0)
                if not self._consumer.assignment():
                    raise Superseded("Another trainer has taken the lead before this one could.")
                ours = TrainerClaim(
                    epoch=announcements.fence.epoch + 1,
                    trainer=f"{socket.gethostname()}:{os.getpid()}"[-200:],
                    claimed_at=datetime.now(UTC),
                )
                offset = claim(self._kafka, self._prefix, ours)
                announcements.read_past(offset, _READ_SECONDS)
                if announcements.fence.claim == ours:
                    return ours.epoch

    def poll(self, timeout_seconds: float = 0) -> None:
        """
        Stay a member; heartbeats are sent in between.

        Raises:
            TryAgain: The broker refuses it.
        """
        try:
            # Whatever it holds is read by `Announcements`; here nothing is wanted but membership.
            self._consumer.poll(timeout_ms=int(timeout_seconds * 1000))
            for partition in self._consumer.assignment() - self._consumer.paused():
                self._consumer.pause(partition)
        except KafkaError as error:
            raise self._failed(error) from error
        self._lock.note(self._consumer.group_metadata().member_id)

    def close(self) -> None:
        """Leave the group, so that another one takes over at once."""
        with suppress(KafkaError):
            self._consumer.close(autocommit=False)
        self._lock.note("")

    def _forget_dead_self(self) -> None:
        """
        Whoever held our lock before us is dead: take its membership from it.

        Only on brokers with transactions: others, as the embedded one, may be left with a group that
        never meets again. There the dead one's session has to end.
        """
        dead = self._lock.noted
        if not dead:
            return
        with suppress(RoomstreamError), admin_client(self._kafka) as admin:
            if has_transactions(admin):
                admin.remove_group_members(self._group, [MemberToRemove(dead)])

    def _failed(self, error: KafkaError) -> TryAgain:
        return TryAgain(
            f"This trainer cannot be a member of the group {self._group} on Kafka at "
            f"{self._kafka.bootstrap_servers}: {error}. Check that the brokers are up, and that "
            "TRAINER_SESSION_TIMEOUT_SECONDS is in their group.min.session.timeout.ms."
        )
