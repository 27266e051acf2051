"""The `roomstream` command as people type it, on real brokers and a real store."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from artefacts.manifest import Figure, Quality
from artefacts.store import Store
from roomstream.brokers import Broker
from roomstream.live import live_announcement, make_live
from runtime.settings import KafkaSettings, SharedSettings, load
from schemas.topics import Topic
from tests.kafka_io import read_until, send
from tests.releases import tiny_release
from tests.roomstream.explaining.pairs import pair
from tests.workers.brokers import ON_EMBEDDED


class Command:
    """Runs `roomstream` in a process of its own, pointed at a broker and a store."""

    def __init__(self, kafka: KafkaSettings, shared: SharedSettings) -> None:
        self.environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "ROOMSTREAM_STORE": shared.store,
            "ROOMSTREAM_CACHE": str(shared.cache),
            "ROOMSTREAM_TOPIC_PREFIX": shared.topic_prefix,
            "TRAINER_DATABASE": str(shared.cache.with_name("trainer.sqlite")),
            "HF_HUB_OFFLINE": "1",
            "COLUMNS": "200",
        }

    def __call__(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run it to its end."""
        return subprocess.run(
            [sys.executable, "-P", "-m", "roomstream", *arguments],
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def json(self, *arguments: str) -> Any:
        """Run it with --json; what it prints."""
        done = self(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def shared(tmp_path: Path, topic_prefix: str) -> SharedSettings:
    """A store of our own."""
    return SharedSettings(
        store=f"file://{tmp_path / 'store'}", cache=tmp_path / "cache", topic_prefix=topic_prefix
    )


@pytest.fixture
def on_embedded(embedded_broker: Broker, shared: SharedSettings) -> Command:
    """The command, where the broker makes no difference."""
    settings = load(KafkaSettings, bootstrap_servers=embedded_broker.bootstrap_servers)
    return Command(settings, shared)


@pytest.fixture
def roomstream(kafka_settings: KafkaSettings, shared: SharedSettings) -> Command:
    """The command."""
    return Command(kafka_settings, shared)


def test_topics_are_made_once_and_listed(roomstream: Command) -> None:
    """`topics create` can be repeated; `topics list` shows what is there and what differs."""
    before = roomstream.json("topics", "list")
    first = roomstream("topics", "create", "--partitions", "3", "--replication-factor", "1")
    second = roomstream("topics", "create", "--partitions", "3", "--replication-factor", "1")
    after = {topic["topic"]: topic for topic in roomstream.json("topics", "list")}
    prefix = roomstream.environment["ROOMSTREAM_TOPIC_PREFIX"]

    assert not any(topic["exists"] for topic in before)
    assert (first.returncode, second.returncode) == (0, 0)
    assert "8 created, 0 were there." in first.stdout
    assert "0 created, 8 were there." in second.stdout
    assert after[f"{prefix}listings"]["partitions"] == 3
    assert after[f"{prefix}releases"]["partitions"] == 1


@ON_EMBEDDED
@pytest.mark.usefixtures("topics")
def test_base_import_makes_a_live_release_once(
    roomstream: Command, kafka_settings: KafkaSettings, shared: SharedSettings
) -> None:
    """`base import` publishes and announces; again it does nothing; --replace imports anew."""
    labels = ("--labels", "Entire home/apt, Private room")
    first = roomstream("base", "import", "minilm", *labels)
    live = live_announcement(kafka_settings, shared)
    again = roomstream("base", "import", "minilm", *labels)
    replaced = roomstream("base", "import", "minilm", *labels, "--replace")
    newest = live_announcement(kafka_settings, shared)

    assert (first.returncode, again.returncode, replaced.returncode) == (0, 0, 0), first.stderr
    assert live is not None
    assert newest is not None
    manifest = Store(shared.store).manifest(live.release, live.manifest_digest)
    assert manifest.labels == ["Entire home/apt", "Private room"]
    assert "is live already" in again.stdout
    assert live.release == Store(shared.store).manifest(newest.release).parent


@pytest.mark.usefixtures("topics")
def test_releases_are_listed_promoted_rolled_back_and_verified(
    roomstream: Command, kafka_settings: KafkaSettings, shared: SharedSettings
) -> None:
    """An operator sees what is live and why, goes back, pins, and releases the pin."""
    store = Store(shared.store)
    old = tiny_release(store).release
    new = tiny_release(store, scale=11, parent=old).release
    make_live(kafka_settings, shared, new, "learned 100 labels")

    listed = {item["release"]: item for item in roomstream.json("releases", "list")}
    back = roomstream("releases", "rollback", "--why", "demasiadas dudas")
    rolled = roomstream.json("releases", "show")
    roomstream("releases", "promote", new)
    promoted = roomstream.json("releases", "show")
    table = roomstream("releases", "list")
    shown = roomstream("releases", "show", old)
    verified = roomstream("releases", "verify")
    facts = roomstream.json("releases", "verify")

    assert {old: False, new: True} == {name: item["live"] for name, item in listed.items()}
    assert listed[new]["why"] == "learned 100 labels"
    assert back.returncode == 0, back.stderr
    assert (old, True, "demasiadas dudas") == (rolled["release"], rolled["pinned"], rolled["why"])
    assert (new, False) == (promoted["release"], promoted["pinned"])
    assert "promoted by an operator" in table.stdout
    assert "Private room" in shown.stdout
    assert verified.returncode == 0
    assert verified.stdout.count("ok") == 2
    assert [{"release": old, "fault": None}, {"release": new, "fault": None}] == facts


@pytest.mark.usefixtures("topics")
def test_a_release_shows_how_good_it_is(roomstream: Command, shared: SharedSettings) -> None:
    """In words for people, by class and by city, and as JSON for programs."""
    quality = Quality(
        items=400,
        accuracy=0.875,
        intervals={"accuracy": (0.84, 0.905)},
        macro_f1=0.61,
        log_loss=0.4,
        calibration_error=0.02,
        by_class={"Private room": Figure(0.9, 120)},
        by_domain={"madrid": Figure(0.88, 300), "[/b]": Figure(0.86, 100)},  # no markup
    )
    store = Store(shared.store)
    plain = tiny_release(store)
    measured = msgspec.structs.replace(plain, release="measured", quality=quality)
    store.publish(measured)
    shown = roomstream("releases", "show", "measured").stdout
    told = " ".join(shown.replace("—", "").split())

    for line in (
        "87.5% (84.0% to 90.5% with 95% confidence)",
        "400 listings that it never learned",
        "Private room 0 90.0% 120",
        "madrid 88.0% 300",
        "[/b] 86.0% 100",
        "calibration error 2.0%",
    ):
        assert line in told
    assert "not measured" in roomstream("releases", "show", plain.release).stdout
    facts = roomstream.json("releases", "show", "measured")
    assert facts["quality"]["by_domain"]["madrid"] == {"share": 0.88, "items": 300}


@pytest.mark.usefixtures("topics")
def test_a_release_is_explained(
    roomstream: Command, shared: SharedSettings, tmp_path: Path
) -> None:
    """`releases show` says what changed against the parent, to people, to programs and as a page."""
    parent, release = pair(Store(shared.store))
    page = tmp_path / "página.html"

    told = roomstream("releases", "show", release.release)
    facts = roomstream.json("releases", "show", release.release, "--examples", "2")["explanation"]
    written = roomstream("releases", "show", release.release, "--html", str(page))
    nowhere = roomstream("releases", "show", parent.release, "--html", f"{page}/x.html")

    assert told.returncode == 0, told.stderr
    assert f"It comes from {parent.release} and has the same encoder." in told.stdout
    assert "181 more than its parent" in told.stdout
    assert "Answers that changed" in told.stdout
    assert (facts["parent"], len(facts["examples"]["shown"])) == (parent.release, 2)
    assert "made up" in facts["examples"]["source"]
    assert (written.returncode, nowhere.returncode) == (0, 2)
    assert f"Wrote {page}" in written.stdout
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert "--html" in nowhere.stderr


@pytest.mark.usefixtures("topics")
def test_a_damaged_release_is_refused_with_its_exit_code(
    roomstream: Command, shared: SharedSettings
) -> None:
    """`releases verify` names the damaged part and ends with 3."""
    manifest = tiny_release(Store(shared.store))
    blob = manifest.blobs["head.onnx"]
    path = Path(shared.store.removeprefix("file://")) / "blobs/sha256" / blob.digest[:2]
    (path / blob.digest).write_bytes(b"x" * blob.size_bytes)

    done = roomstream("releases", "verify", manifest.release)

    assert done.returncode == 3
    assert "sha256" in done.stdout


def test_texts_are_classified_without_kafka(on_embedded: Command, shared: SharedSettings) -> None:
    """`classify` needs the store only, and answers in Spanish and English."""
    store = Store(shared.store)
    manifest = tiny_release(store)
    store.point("live", manifest.release)
    texts = ("Habitacion privada con balcon", "entire flat near the centro")

    answers = on_embedded.json("classify", *texts)
    table = on_embedded("classify", *texts, KAFKA_BOOTSTRAP_SERVERS="nowhere:1")

    assert [answer["label"] for answer in answers] == ["Private room", "Entire home/apt"]
    assert manifest.release == answers[0]["release"]
    assert "Private room" in table.stdout
    assert manifest.release in table.stderr


def test_classify_without_a_release_says_how_to_get_one(on_embedded: Command) -> None:
    """A store without a live release is named, with the next step and exit code 3."""
    done = on_embedded("classify", "piso entero")

    assert done.returncode == 3
    assert "roomstream base import" in done.stderr


@pytest.mark.usefixtures("topics")
def test_listings_and_labels_are_sent_from_a_file(
    roomstream: Command, kafka_settings: KafkaSettings, topic_prefix: str, tmp_path: Path
) -> None:
    """`listings send` sends every row in order, and the labels of the share that was asked for."""
    file = tmp_path / "listings.csv"
    rows = [f"{number},Habitación {number} 🌿,Private room" for number in range(20)]
    file.write_text("\n".join(["id,title,label", *rows]))

    done = roomstream("listings", "send", str(file), "--labelled", "1")
    listings = read_until(
        kafka_settings, topic_prefix, Topic.LISTINGS, lambda found: len(found) >= 20
    )
    labels = read_until(
        kafka_settings, topic_prefix, Topic.LABELLED, lambda found: len(found) >= 20
    )

    assert done.returncode == 0, done.stderr
    assert "Sent 20 listings and 20 labels." in done.stdout
    assert roomstream.json("listings", "send", str(file)) == {"events": 20, "labels": 0}
    assert (len(listings), len(labels)) == (20, 20)


@pytest.mark.usefixtures("topics")
def test_dead_letters_are_grouped_by_cause(
    roomstream: Command, kafka_settings: KafkaSettings, topic_prefix: str
) -> None:
    """`dead list` counts letters by stage, error and disposition, with an example."""
    headers = [
        ("dead-stage", b"decode"),
        ("dead-error", b"not_json"),
        ("dead-message", b"payload: Not JSON."),
        ("dead-topic", b"listings"),
        ("dead-partition", b"0"),
        ("dead-offset", b"7"),
        ("dead-disposition", b"poison"),
    ]
    send(
        kafka_settings,
        Topic.DEAD.named(topic_prefix),
        [(b"l1", b"{", headers) for _ in range(3)],
    )

    (group,) = roomstream.json("dead", "list")
    table = roomstream("dead", "list")

    assert (
        group["letters"],
        group["stage"],
        group["error"],
        group["disposition"],
    ) == (3, "decode", "not_json", "poison")
    assert "listings[0]@7" in table.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["wurker"], 2, "worker"),
        (["topics", "create", "--partitions", "0"], 2, "partitions"),
        (["listings", "send", "/no/such/file.csv"], 2, "/no/such/file.csv"),
        (["topics", "list", "--bootstrap-servers", "127.0.0.1:1"], 75, "127.0.0.1:1"),
        (["topics", "list", "--security-protocol", "SSLL"], 2, "KAFKA_SECURITY_PROTOCOL"),
        (["classify", "x", "--store", "/folder"], 2, "file:///folder"),
        (["demo", "--labelled", "0"], 2, "--labelled"),
        (["releases", "list"], 2, "roomstream topics create"),
        (["base", "import", "/no/such/model", "--labels", "a,b"], 2, "roomstream topics create"),
    ],
)
def test_what_is_wrong_is_said_with_its_exit_code(
    on_embedded: Command, arguments: list[str], code: int, says: str
) -> None:
    """A wrong option, file, setting or broker is named on stderr, never as a traceback."""
    done = on_embedded(*arguments)

    assert code == done.returncode, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_misspelt_variable_is_an_error(on_embedded: Command) -> None:
    """A variable that nothing reads would silently mean the default."""
    done = on_embedded("topics", "list", ROOMSTREAM_TOPIK_PREFIX="x.")

    assert done.returncode == 2
    assert "ROOMSTREAM_TOPIC_PREFIX" in done.stderr


@pytest.mark.parametrize("service", ["worker", "trainer"])
def test_services_end_with_a_log_line_and_exit_code(on_embedded: Command, service: str) -> None:
    """A service that cannot work says so in its JSON log."""
    done = on_embedded(service, "--metrics-port", "0")
    last = json.loads(done.stderr.splitlines()[-1])

    assert done.returncode == 2
    assert ("ended", 2, service) == (last["event"], last["exit_code"], last["service"])
    assert "roomstream topics create" in last["why"]


def test_help_shows_variables_and_never_secrets(on_embedded: Command) -> None:
    """--help shows option, variable and default; passwords are no options."""
    done = on_embedded("worker", "--help", KAFKA_SASL_PASSWORD="hunter2")

    assert done.returncode == 0
    assert "WORKER_METRICS_PORT" in done.stdout
    assert "9100" in done.stdout
    assert "hunter2" not in done.stdout
    assert "--sasl-password " not in done.stdout


@pytest.mark.parametrize(
    "command", ["demo", "worker", "trainer", "classify", "base import", "listings send"]
)
def test_help_shows_all_variables_on_a_narrow_terminal(on_embedded: Command, command: str) -> None:
    """With 80 columns every variable can still be copied from --help."""
    done = on_embedded(*command.split(), "--help", COLUMNS="80")
    cut = [
        line
        for line in done.stdout.splitlines()
        if re.search(r"(KAFKA|STREAM|WORKER|TRAINER)_[A-Z_]*…", line)
    ]

    assert done.returncode == 0
    assert cut == []
