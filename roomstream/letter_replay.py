"""
Sends dead letters back to where they came from, each of them once.

A batch is one Kafka transaction: the messages, and for each letter a marker in the letter's own
partition. So a letter has gone exactly if its marker is there. One transactional id for all replays of a
deployment lets only the newest go on; it reads the markers after it has fenced the others, which from
then on can add none. A failed transaction ends the run: kafka-python cannot be trusted after one.
"""

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from kafka import KafkaProducer
from kafka.errors import InvalidProducerEpochError, KafkaError, ProducerFencedError

from roomstream.letters import INPUTS, Choice, Fate, Replayed, Sorter
from roomstream.reading import TopicReader, end_offsets
from runtime.dead_letters import (
    DeadLetter,
    read_dead_letter,
    replay_marker,
    replayed_offset,
    sent_back,
)
from runtime.kafka import (
    DELIVERY_SECONDS,
    MAX_REQUEST_BYTES,
    TRANSACTION_SECONDS,
    close_producer,
    kafka_arguments,
    require_transactions,
)
from runtime.permissions import REPLAY_ID
from runtime.records import Outbound, Record
from runtime.settings import KafkaSettings
from runtime.watchdog import Watchdog
from schemas.errors import TryAgain
from schemas.topics import Topic

Counted = Callable[[Iterable[Record]], Iterable[Record]]

_BATCH = 200
_SHOWN = 5
_HANG_SECONDS = 60
_FENCED = (ProducerFencedError, InvalidProducerEpochError)


@dataclass
class Tally:
    """
    What became of the letters.

    Attributes:
        sent: Sent back now.
        already_replayed: Chosen, but sent back before.
        given_up: Chosen, but have failed too often.
        not_replayable: Chosen, but cannot go back.
        left: Chosen, but over the limit of this run.
        not_chosen: All others.
        faults: Of the first that cannot go back, which they are and why.
    """

    sent: int = 0
    already_replayed: int = 0
    given_up: int = 0
    not_replayable: int = 0
    left: int = 0
    not_chosen: int = 0
    faults: list[str] = field(default_factory=list)

    def count(self, fate: Fate) -> None:
        """Count a letter."""
        setattr(self, fate, getattr(self, fate) + 1)


@dataclass(frozen=True)
class Replay:
    """
    A replay of chosen letters.

    Attributes:
        kafka: How to reach Kafka; it must have transactions.
        prefix: What the names of topics begin with.
        choice: Which letters.
        max_attempts: Letters that have failed so often are given up.
        limit: The most letters to send; None: all.
        batch: How many letters are one transaction.
    """

    kafka: KafkaSettings
    prefix: str
    choice: Choice
    max_attempts: int = 3
    limit: int | None = None
    batch: int = _BATCH

    def preview(self, counted: Counted = iter) -> Tally:
        """
        Say what a run would do; it sends nothing and disturbs no run.

        Raises:
            ConfigurationError: The brokers have no transactions.
            TryAgain: They cannot be reached.
        """
        require_transactions(self.kafka, "a replay")
        tally = Tally()
        with closing(self._to_send(tally, counted)) as letters:
            for _ in letters:
                tally.sent += 1
        return tally

    def run(self, counted: Counted = iter) -> Tally:
        """
        Send the letters.

        Args:
            counted: Sees every record go by, to show progress.

        Raises:
            ConfigurationError: The brokers have no transactions.
            TryAgain: They cannot be reached, a transaction failed, or another replay took over.
        """
        require_transactions(self.kafka, "a replay")
        tally = Tally()
        with closing(Watchdog(_HANG_SECONDS)) as watchdog:
            try:
                with watchdog:
                    session = _Session(self.kafka, self.prefix)
                # A consumer that is left to the garbage collector hangs when the process ends.
                with closing(session), closing(self._to_send(tally, counted)) as letters:
                    while batch := list(islice(letters, self.batch)):
                        with watchdog:
                            session.deliver(batch)
                        tally.sent += len(batch)
            except KafkaError as error:
                raise self._failed(error, tally.sent) from error
        return tally

    def _to_send(
        self, tally: Tally, counted: Counted
    ) -> Generator[tuple[Record, DeadLetter], None, None]:
        """Read the markers, then the letters that were there; all but those to send are counted."""
        ends = end_offsets(self.kafka, Topic.DEAD.named(self.prefix))
        with TopicReader(self.kafka, self.prefix, Topic.DEAD) as reader:
            replayed = Replayed()
            for record in counted(reader.read_to(ends)):
                replayed.note(record)
            reader.rewind()
            sorter = Sorter(self.choice, replayed, self._origins(), self.max_attempts, self.limit)
            for record in counted(reader.read_to(ends)):
                if replayed_offset(record) is not None:
                    continue
                letter = read_dead_letter(record)
                fate = sorter.fate(record, letter)
                if fate == "sent":
                    yield record, letter
                    continue
                tally.count(fate)
                if fate == "not_replayable" and len(tally.faults) < _SHOWN:
                    place = f"{record.topic}[{record.partition}]@{record.offset}"
                    tally.faults.append(f"{place}: {sorter.fault(letter)}.")

    def _origins(self) -> Mapping[str, Collection[int]]:
        names = [topic.named(self.prefix) for topic in INPUTS]
        places = end_offsets(self.kafka, *names)
        return {name: {each.partition for each in places if each.topic == name} for name in names}

    def _failed(self, error: KafkaError, sent: int) -> TryAgain:
        if isinstance(error, _FENCED):
            return TryAgain(
                f"Another replay took over, or this one or the brokers took longer than "
                f"{TRANSACTION_SECONDS} s for a transaction. It had sent {sent:,} letters; nothing was "
                "sent twice. Run it again when the other is done: what was sent is not sent again."
            )
        return TryAgain(
            f"A transaction failed at {self.kafka.bootstrap_servers}: {error!r}. {sent:,} letters were "
            "sent before it; its own went all or not at all. Check the brokers and run it again: it "
            "goes on, and nothing is sent twice."
        )


class _Session:
    """A transactional producer, from the fence to the first failure."""

    def __init__(self, kafka: KafkaSettings, prefix: str) -> None:
        self._producer = KafkaProducer(
            **kafka_arguments(kafka),
            acks="all",
            transactional_id=prefix + REPLAY_ID,
            transaction_timeout_ms=TRANSACTION_SECONDS * 1000,
            max_block_ms=DELIVERY_SECONDS * 1000,
            max_request_size=MAX_REQUEST_BYTES,
            linger_ms=5,
        )
        try:
            self._producer.init_transactions()
        except BaseException:
            self.close()
            raise

    def deliver(self, letters: Sequence[tuple[Record, DeadLetter]]) -> None:
        """
        Commit letters and their markers together.

        Raises:
            KafkaError: Nothing was committed, or it is not known: this session must end.
        """
        self._producer.begin_transaction()
        sent: list[Any] = []
        try:
            for record, letter in letters:
                sent.append(self._send(sent_back(letter), letter.partition))
                sent.append(self._send(replay_marker(record), record.partition))
            self._producer.flush(timeout=DELIVERY_SECONDS)
        except KafkaError as error:
            raise _cause(sent) or error from error
        for confirmation in sent:
            confirmation.get(timeout=DELIVERY_SECONDS)
        self._producer.commit_transaction()

    def _send(self, message: Outbound, partition: int) -> Any:
        return self._producer.send(
            message.topic,
            key=message.key,
            value=message.value,
            headers=list(message.headers),
            partition=partition,
        )

    def close(self) -> None:
        """Leave; what is not committed is aborted by the next run, or by the brokers soon after."""
        close_producer(self._producer)


def _cause(sent: Sequence[Any]) -> KafkaError | None:
    """What failed first: later calls only say that something has."""
    found: Iterator[KafkaError] = (each.exception for each in sent if each.failed())
    return next(found, None)
