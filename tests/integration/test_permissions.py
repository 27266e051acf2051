"""Every role with exactly the ACLs of deploy/acls.sh, and without one of them, on a secured Kafka."""

import csv
import json
import re
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import pytest
import trustme
from kafka import KafkaAdminClient, KafkaConsumer
from kafka.admin import MemberToRemove
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata, TopicPartition
from typer.testing import CliRunner

from roomstream.audit import run_audit
from roomstream.cli import app
from roomstream.commands import labels
from roomstream.letter_replay import Replay
from roomstream.letters import Choice
from roomstream.verdicts import accepted, rejected
from runtime.denials import Lack
from runtime.kafka import kafka_arguments
from runtime.permissions import (
    Access,
    audit_access,
    operator_access,
    permitted,
    replay_access,
    require_access,
    reviewer_access,
    trainer_access,
    worker_access,
)
from schemas.errors import ConfigurationError
from schemas.topics import Topic
from tests.integration.commands import run, ten_seconds
from tests.integration.secured import SecuredDeployment, allowed_by_script
from tests.integration.test_letter_replay import letters
from tests.kafka_io import message, read_until, send
from tests.processes import eventually
from tests.secured_kafka import PASSWORD, SecuredKafka
from tests.trainer.labels import AT, labelled, record
from tests.trainer.process import Deployment
from tests.workers.listings import listings, read_answers
from tests.workers.processes import WorkerProcess
from trainer.intake import Label, read

PREFIX = "secured."
ENGINES = pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
GROUP = f"{PREFIX}roomstream-workers"
ROLES = {
    "worker": worker_access(GROUP),
    "trainer": trainer_access(PREFIX),
    "operator": operator_access(GROUP),
    "reviewer": reviewer_access(),
}

ALONE = {
    "worker": {"roomstream-workers-"},
    "trainer": set[str](),
    "operator": {"roomstream-dead-replay", "roomstream-doctor-"},
    "reviewer": set[str](),
}


@pytest.fixture(scope="module")
def secured(
    secured_kafka: SecuredKafka, tmp_path_factory: pytest.TempPathFactory
) -> SecuredDeployment:
    """The deployment of this module."""
    return SecuredDeployment(secured_kafka, PREFIX, tmp_path_factory.mktemp("secured"))


@pytest.fixture
def trainer(secured: SecuredDeployment, tmp_path: Path) -> Iterator[Deployment]:
    """A trainer to be started as its own user."""
    with Deployment(secured.kafka("trainer"), PREFIX, tmp_path) as found:
        found.shared, found.store = secured.shared, type(found.store)(secured.shared.store)
        yield found


def forget_members(secured: SecuredDeployment) -> None:
    """Let a worker of the other engine in at once: members that are static stay when they end."""
    with KafkaAdminClient(**kafka_arguments(secured.administrator)) as admin:
        members = admin.describe_groups([GROUP])[GROUP]["members"]
        if members:
            admin.remove_group_members(
                GROUP, [MemberToRemove(member_id=member["member_id"]) for member in members]
            )


def worker(secured: SecuredDeployment, folder: Path, delivery: str) -> WorkerProcess:
    """A worker that was started as its own user."""
    forget_members(secured)
    return WorkerProcess(
        {**secured.environment("worker"), "WORKER_DELIVERY": delivery}, folder / "worker.log"
    )


def lacks_of(access: Access) -> list[Lack]:
    """Each thing that a role may do."""
    topics = [
        Lack(operation, "topic", topic.named(PREFIX))
        for topic, operations in access.topics.items()
        for operation in operations
        if operation != "Describe"  # follows from others
    ]
    groups = [
        Lack(operation, "group", group)
        for group, operations in access.groups.items()
        for operation in operations
    ]
    return topics + groups


@pytest.mark.parametrize("role", ROLES)
def test_the_script_allows_what_a_role_needs_and_no_more(role: str) -> None:
    """Only what Kafka cannot be asked about is in the script alone."""
    allowed = {each for each in allowed_by_script(PREFIX, role) if each.operation != "Describe"}
    asked = {each for each in lacks_of(ROLES[role]) if each.operation != "Describe"}

    assert not asked - allowed
    assert {each.name.removeprefix(PREFIX) for each in allowed - asked} == ALONE[role]


@ENGINES
def test_a_worker_works_with_its_acls(
    secured: SecuredDeployment, tmp_path: Path, delivery: str
) -> None:
    """Of either engine: listings of upstream are answered, and it drains."""
    with worker(secured, tmp_path, delivery) as process:
        eventually(process.ready, "worker is ready", 60)
        places = send(secured.kafka("upstream"), f"{PREFIX}listings", listings(20))
        read_answers(secured.administrator, PREFIX, places)

        assert process.stop() == 0


def test_a_trainer_works_with_its_acls(secured: SecuredDeployment, trainer: Deployment) -> None:
    """Labels of upstream are learned and become a release that it announces."""
    trainer.ready(release_interval_seconds=0.2, first_labels_per_class=3)
    upstream = Deployment(secured.kafka("upstream"), PREFIX, trainer.database.parent)
    upstream.send(*(labelled(number) for number in range(60)))
    eventually(
        lambda: trainer.live().release != secured.release, "a release of its own is live", 60
    )

    assert trainer.stop() == 0


def test_an_operator_works_with_their_acls(secured: SecuredDeployment, tmp_path: Path) -> None:
    """Every command that an operator has; topics that are missing can be made."""
    file = tmp_path / "listings.csv"
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows(
            [("id", "title", "label"), ("l-1", "Piso entero en Lavapiés", "Entire home/apt")]
        )
    environment = secured.environment("operator")
    for command in (
        ("topics", "list"),
        ("topics", "create"),
        ("listings", "send", str(file), "--labelled", "1"),
        ("releases", "list"),
        ("releases", "promote", secured.release),
        ("releases", "show"),
        ("base", "import", "minilm"),  # there is one already, which it must know
        ("dead", "list"),
        ("review", "--json"),
        ("doctor", "--role", "operator"),
    ):
        done = CliRunner().invoke(app, command, env=environment)
        assert done.exit_code == 0, (command, done.output, done.exception)
    require_access(secured.kafka("operator"), PREFIX, operator_access(GROUP))
    require_access(secured.kafka("operator"), PREFIX, audit_access(GROUP))


def test_the_doctor_finds_a_reviewer_well(secured: SecuredDeployment) -> None:
    """They see the queue, and the doctor finds nothing wrong, with neither store nor releases."""
    environment = secured.environment("reviewer")
    for command in (("review", "--json"), ("doctor", "--role", "reviewer", "--json")):
        done = CliRunner().invoke(app, command, env=environment)
        assert done.exit_code == 0, (command, done.output, done.exception)
    found = {finding["area"]: finding for finding in json.loads(done.stdout)}

    assert found["security"]["says"].endswith("may do what these do: reviewer.")
    assert not {"store", "release", "disk"} & set(found)


def test_an_operators_audit_sees_all(secured: SecuredDeployment) -> None:
    """The same figures as an administrator's: what a user may not read is not taken for missing."""
    place = TopicPartition(f"{PREFIX}listings", 0)
    send(secured.administrator, place.topic, listings(1))
    group = KafkaConsumer(**kafka_arguments(secured.administrator), group_id=GROUP)
    with closing(group):
        if group.committed(place) is None:  # no test before this one had a worker
            group.commit({place: OffsetAndMetadata(0, "", -1)})
    everything = run_audit(secured.administrator, PREFIX, GROUP)
    audited = CliRunner().invoke(app, ["audit", "--json"], env=secured.environment("operator"))

    assert json.loads(audited.stdout)["partitions"] == json.loads(
        json.dumps([asdict(each) for each in everything])
    )


def test_an_operator_judges_labels(secured: SecuredDeployment) -> None:
    """What they accept and reject goes to the trainer."""
    label = read(record(labelled(1), offset=0), prefix="")
    assert isinstance(label, Label)
    for verdict in (accepted, rejected):
        labels._send(secured.kafka("operator"), secured.shared, [label], verdict)

    sent = {accepted(label, AT).event_id, rejected(label, AT).event_id}
    read_until(
        secured.administrator,
        PREFIX,
        Topic.LABELLED,
        lambda found: all(any(each.encode() in (x.value or b"") for x in found) for each in sent),
    )


def test_an_operator_replays_dead_letters(secured: SecuredDeployment) -> None:
    """Under the one transactional id that the script allows; without it, the mend is its very line."""
    kafka, access = secured.kafka("operator"), replay_access(PREFIX)
    replay = Replay(kafka, PREFIX, Choice(error="acl"))
    send(secured.administrator, f"{PREFIX}dead", letters(f"{PREFIX}listings", 2, error="acl"))
    lack = access.transactional_id
    assert lack is not None
    assert lack in allowed_by_script(PREFIX, "operator")
    with (
        secured.without("operator", lack),
        pytest.raises(ConfigurationError, match=re.escape(f"{lack.mended_by()}") + "$"),
        permitted(kafka, PREFIX, access),
    ):
        replay.run()

    with permitted(kafka, PREFIX, access):
        assert replay.run().sent == 2


def test_a_reviewer_works_with_their_acls(secured: SecuredDeployment) -> None:
    """They see what is asked and send labels, and may do nothing else."""
    kafka = secured.kafka("reviewer")
    done = CliRunner().invoke(app, ["review", "--json"], env=secured.environment("reviewer"))
    with permitted(kafka, PREFIX, reviewer_access()):
        sent = send(kafka, f"{PREFIX}labelled", [message(labelled(7), "l-7")])

    assert done.exit_code == 0
    asked = json.loads(done.stdout)  # what workers of other tests have asked, at random
    assert all(each["input"]["topic"] == f"{PREFIX}listings" for each in asked)
    assert sent
    with pytest.raises(KafkaError, match="Authorization"):
        send(kafka, f"{PREFIX}releases", [(b"k", b"nothing of theirs", [])])


def test_a_reader_works_with_its_acls(secured: SecuredDeployment) -> None:
    """It reads answers, commits how far it is, and writes nothing."""
    send(secured.administrator, f"{PREFIX}review", [(b"k", b"a request", [])])
    kafka = secured.kafka("reader")
    names = [topic.named(PREFIX) for topic in (Topic.CLASSIFIED, Topic.SHADOW, Topic.REVIEW)]
    consumer = KafkaConsumer(
        *names,
        **kafka_arguments(kafka),
        group_id=f"{PREFIX}roomstream-readers",
        auto_offset_reset="earliest",
    )
    with closing(consumer):
        eventually(lambda: bool(consumer.poll(timeout_ms=500)), "one is read")
        consumer.commit()

    with pytest.raises(KafkaError, match="Authorization"):
        send(kafka, names[0], [(b"k", b"no answer", [])])


@pytest.mark.parametrize(
    ("role", "lack"),
    [(role, lack) for role, access in ROLES.items() for lack in lacks_of(access)],
    ids=str,
)
def test_a_missing_acl_is_named(secured: SecuredDeployment, role: str, lack: Lack) -> None:
    """As what it is, within 10 seconds, with the command that mends it; and nothing else is."""
    kafka = secured.kafka(role)
    told: list[str] = []

    def refused() -> bool:
        started = time.monotonic()
        try:
            require_access(kafka, PREFIX, ROLES[role])
        except ConfigurationError as error:
            told[:] = [str(error)]
        assert time.monotonic() - started < 10
        return bool(told)

    with secured.without(role, lack):
        eventually(refused, f"{lack} is missed")
    (message,) = told

    assert f"does not let User:{role} do what the {role} needs" in message
    assert f"  {lack.operation} on {lack.kind} {lack.name}" in message
    assert f"--allow-principal 'User:{role}' {lack.mended_by()}" in message
    others = [other for other in lacks_of(ROLES[role]) if other.name != lack.name]
    whole = [rf"{re.escape(other.mended_by())}(?!\S)" for other in others]
    assert not [pattern for pattern in whole if re.search(pattern, message)]
    assert PASSWORD not in message


@ENGINES
def test_a_worker_without_an_acl_does_not_start(
    secured: SecuredDeployment, tmp_path: Path, delivery: str
) -> None:
    """It ends with code 2 within ten seconds and says why."""
    limit = ten_seconds()
    with secured.without("worker", Lack("Write", "topic", f"{PREFIX}review")):
        began = time.monotonic()
        with worker(secured, tmp_path, delivery) as process:
            assert process.ended() == 2
            took = time.monotonic() - began
            assert f"Write on topic {PREFIX}review" in process.lines()[-1]["why"]

    assert took < limit


def test_a_trainer_without_an_acl_does_not_start(
    secured: SecuredDeployment, trainer: Deployment
) -> None:
    """The same."""
    limit = ten_seconds()
    with secured.without("trainer", Lack("Write", "topic", f"{PREFIX}dead")):
        began = time.monotonic()
        code = trainer.run()
        took = time.monotonic() - began

    assert code == 2
    assert took < limit
    assert f"Write on topic {PREFIX}dead" in trainer.logs("ended")[-1]["why"]


@pytest.mark.parametrize("service", ["worker", "trainer"])
def test_a_wrong_authority_is_named(
    secured: SecuredDeployment, tmp_path: Path, service: str
) -> None:
    """A broker whose certificate somebody else has signed, within ten seconds; not a time-out."""
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(stranger)
    environment = {**secured.environment(service), "KAFKA_SSL_CAFILE": str(stranger)}
    limit, began = ten_seconds(), time.monotonic()
    done = run(environment, service)
    took = time.monotonic() - began

    assert done.returncode == 2
    assert took < limit
    assert "certificate" in done.stderr
    assert "KAFKA_SSL_CAFILE" in done.stderr


def test_a_transactional_id_that_is_not_allowed_is_named(
    secured: SecuredDeployment, tmp_path: Path
) -> None:
    """Kafka does not say so in advance; the first transaction does."""
    lack = Lack("Write", "transactional-id", f"{GROUP}-", prefixed=True)
    with (
        secured.without("worker", lack),
        worker(secured, tmp_path, "exactly-once") as process,
    ):
        assert process.ended() == 2
        assert lack.mended_by() in process.lines()[-1]["why"]


@ENGINES
@pytest.mark.parametrize(
    "lack",
    [
        Lack("Read", "topic", f"{PREFIX}listings"),
        Lack("Write", "topic", f"{PREFIX}classified"),
        Lack("Read", "topic", f"{PREFIX}releases"),
        Lack("Read", "group", GROUP),
    ],
    ids=str,
)
def test_an_acl_taken_from_a_worker_is_named(
    secured: SecuredDeployment, tmp_path: Path, delivery: str, lack: Lack
) -> None:
    """It ends with code 2 instead of trying for ever; what it needs while it idles it notices then."""
    with worker(secured, tmp_path, delivery) as process:
        eventually(process.ready, "worker is ready", 60)
        with secured.without("worker", lack):
            if lack.operation == "Write":
                send(secured.kafka("upstream"), f"{PREFIX}listings", listings(4))
            eventually(lambda: process.process.poll() is not None, "the worker ends", 45)

        assert process.ended() == 2, process.lines()
        assert f"{lack.operation} on {lack.kind} {lack.name}" in process.lines()[-1]["why"]


@pytest.mark.parametrize(
    "lack",
    [
        Lack("Read", "topic", f"{PREFIX}labelled"),
        Lack("Read", "topic", f"{PREFIX}releases"),
        Lack("Write", "topic", f"{PREFIX}dead"),
    ],
    ids=str,
)
def test_an_acl_taken_from_a_trainer_is_named(
    secured: SecuredDeployment, trainer: Deployment, lack: Lack
) -> None:
    """It ends with code 2; nothing of what it could not handle is learned."""
    trainer.ready()
    with secured.without("trainer", lack):
        send(secured.kafka("upstream"), Topic.LABELLED.named(PREFIX), [(b"k", b"no label", [])])
        process = trainer.process
        assert process is not None
        eventually(lambda: process.poll() is not None, "the trainer ends", 20)

    assert process.poll() == 2
    assert f"{lack.operation} on {lack.kind} {lack.name}" in trainer.log_file.read_text()
