"""What became of every listing and every label after a run, and whether that is as promised."""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from kafka import KafkaConsumer, TopicPartition

from roomstream.audit import PartitionAudit, run_audit
from roomstream.reading import TopicReader, committed_offsets
from runtime.dead_letters import read_dead_letter
from runtime.kafka import kafka_arguments
from runtime.records import Record
from schemas.codec import decode
from schemas.errors import ExitCode
from schemas.events import LabelledEvent
from schemas.topics import Topic
from tests.chaos.run import Done, Run, counted
from tests.chaos.schedule import NETWORK, STOPPED, Kind
from tests.chaos.stage import WINDOW, Stage
from tests.processes import eventually
from tests.workers.listings import out_of_order, positions

_SETTLE_SECONDS = 180
# Not a drain, a rebalance, a clock, or a broker that answers within the session.
_BREAKS_OFF = (NETWORK - {Kind.SLOW}) | {Kind.KILL_WORKER, Kind.STOP_WORKER, Kind.KILL_BROKER}


@dataclass
class Verdict:
    """
    The figures of a run, ready for JSON.

    Attributes:
        delivery: The engine.
        faults: How often each kind hit.
        sent: Listings that are on the topic.
        answered: Of them, those with one answer.
        dead: Those with one dead letter.
        skipped: Tombstones.
        lost: Messages without a result, or confirmed by the brokers and gone.
        repeated: Results beyond the first of a message.
        repeats_allowed: The most that the promise allows.
        unknown: Results for no message.
        out_of_order: Answers that came before one of an earlier event of their listing.
        labels: Label events, each counted once, on the topic.
        learned: Rows of label events in the trainer's database.
        exit_codes: How the processes of each service ended, and how often.
        complaints: What is not as promised; none if all is well.
    """

    delivery: str
    faults: dict[str, int]
    sent: int = 0
    answered: int = 0
    dead: int = 0
    skipped: int = 0
    lost: int = 0
    repeated: int = 0
    repeats_allowed: int = 0
    unknown: int = 0
    out_of_order: int = 0
    labels: int = 0
    learned: int = 0
    exit_codes: dict[str, dict[int, int]] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether everything is as promised."""
        return not self.complaints

    def complain_if(self, wrong: bool, what: str) -> None:
        """Note what is not as promised."""
        if wrong:
            self.complaints.append(what)


def judge(stage: Stage, run: Run) -> Verdict:
    """Wait until everything is answered and learned, stop all in order, and look at what is there."""
    eventually(lambda: not _behind(stage), "every listing is committed", _SETTLE_SECONDS)
    labels = _labels(stage)
    eventually(lambda: len(_learned(stage)) >= len(labels), "all is learned", _SETTLE_SECONDS)
    verdict = Verdict(stage.delivery, counted(run.done))
    last = {service.name: service.gone() for service in stage.services if service.wanted}
    _judge_faults(verdict, run.done)
    _judge_processes(verdict, stage, last)
    _judge_listings(verdict, stage, run)
    _judge_labels(verdict, labels, _learned(stage))
    return verdict


def _behind(stage: Stage) -> int:
    """How many listings are not committed."""
    name = Topic.LISTINGS.named(stage.prefix)
    committed = committed_offsets(stage.kafka, stage.group, name)
    ends = _ends(stage, name)
    return sum(end - committed.get(partition, 0) for partition, end in ends.items())


def _ends(stage: Stage, name: str) -> dict[int, int]:
    consumer = KafkaConsumer(**kafka_arguments(stage.kafka))
    try:
        places = [TopicPartition(name, each) for each in consumer.partitions_for_topic(name) or ()]
        return {place.partition: end for place, end in consumer.end_offsets(places).items()}
    finally:
        consumer.close()


def _judge_faults(verdict: Verdict, done: Sequence[Done]) -> None:
    """A network that is harmed means nothing to a worker that does not run."""
    for harm in (each for each in done if each.kind in NETWORK):
        for other in (each for each in done if each.kind in STOPPED):
            verdict.complain_if(
                harm.meets(other), f"'{harm.kind}' met no running worker but '{other.kind}'"
            )


def _judge_processes(verdict: Verdict, stage: Stage, last: dict[str, int]) -> None:
    for service in stage.services:
        verdict.exit_codes[service.name] = dict(Counter(service.codes))
        verdict.complain_if(
            bool(service.strange), f"{service.name} ended with {service.strange}: {service.log}"
        )
    for name, code in last.items():
        verdict.complain_if(code != ExitCode.DONE, f"{name} did not drain but ended with {code}")


def _judge_listings(verdict: Verdict, stage: Stage, run: Run) -> None:
    audits = run_audit(stage.kafka, stage.prefix, stage.group)
    _add_audit(verdict, audits)
    records = _read(stage, Topic.CLASSIFIED)
    places = positions(records)
    letters = [read_dead_letter(record) for record in _read(stage, Topic.DEAD)]
    results = places + Counter(
        (letter.partition, letter.offset)
        for letter in letters
        if letter.topic == Topic.LISTINGS.named(stage.prefix)
    )
    verdict.repeated = results.total() - len(results)
    verdict.repeats_allowed = _repeats_allowed(stage, run.done)
    verdict.out_of_order = len(out_of_order(records))
    silent = set(run.traffic.places) - set(results)
    verdict.complain_if(verdict.lost > 0, f"{verdict.lost} listings were lost")
    verdict.complain_if(
        len(silent) > verdict.skipped,
        f"{len(silent)} confirmed listings have no result, {verdict.skipped} are tombstones",
    )
    verdict.complain_if(
        verdict.repeated > verdict.repeats_allowed,
        f"{verdict.repeated} results are repeats, {verdict.repeats_allowed} are allowed",
    )
    verdict.complain_if(verdict.unknown > 0, f"{verdict.unknown} results are of no listing")
    verdict.complain_if(
        verdict.out_of_order > 0, f"{verdict.out_of_order} answers are out of order"
    )
    exactly_once = stage.delivery == "exactly-once"
    whole = all(audit.whole for audit in audits)
    verdict.complain_if(exactly_once and not whole, f"the audit finds faults: {audits}")


def _add_audit(verdict: Verdict, audits: Sequence[PartitionAudit]) -> None:
    for audit in audits:
        verdict.answered += audit.answered
        verdict.dead += audit.dead
        verdict.skipped += audit.skipped
        verdict.lost += audit.missing + audit.waiting
        verdict.unknown += audit.unknown
        verdict.sent += (
            audit.answered
            + audit.dead
            + audit.skipped
            + audit.missing
            + audit.waiting
            + audit.repeated
        )


def _repeats_allowed(stage: Stage, done: Sequence[Done]) -> int:
    """A window for each time that a worker's work was broken off; a broker breaks off everybody's."""
    if stage.delivery == "exactly-once":
        return 0
    return WINDOW * sum(
        each.workers if each.kind is Kind.KILL_BROKER else 1
        for each in done
        if each.kind in _BREAKS_OFF
    )


def _labels(stage: Stage) -> dict[str, str]:
    """The label of each event on the topic."""
    events = [
        decode(Topic.LABELLED, r.value or b"", r.headers) for r in _read(stage, Topic.LABELLED)
    ]
    return {event.event_id: event.label for event in events if isinstance(event, LabelledEvent)}


def _learned(stage: Stage) -> list[tuple[str, str]]:
    """Event id and label of each row of the trainer's database, which may be in use."""
    if not stage.database.exists():
        return []
    sql = sqlite3.connect(f"file:{stage.database}?mode=ro", uri=True)
    try:
        return sql.execute("SELECT event_id, label FROM labels").fetchall()
    except sqlite3.OperationalError:
        return []
    finally:
        sql.close()


def _judge_labels(
    verdict: Verdict, labels: dict[str, str], learned: Sequence[tuple[str, str]]
) -> None:
    verdict.labels, verdict.learned = len(labels), len(learned)
    verdict.complain_if(
        sorted(labels.items()) != sorted(learned),
        f"{len(learned)} label events were learned, {len(labels)} are on the topic",
    )


def _read(stage: Stage, topic: Topic) -> list[Record]:
    with TopicReader(stage.kafka, stage.prefix, topic) as reader:
        return list(reader.read_to_end())
