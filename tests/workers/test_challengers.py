"""A worker takes up challengers beside the live release, and drops those that do it harm."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from artefacts.store import Store
from roomstream.live import Channel, make_live, put_on_channel
from runtime.health import Health
from runtime.settings import KafkaSettings, SharedSettings, load
from schemas.topics import Topic
from tests.kafka_io import read_until, send
from tests.processes import eventually
from tests.releases import BreaksOn, tiny_release
from tests.workers.brokers import ON_EMBEDDED
from tests.workers.listings import answers, listings, positions
from tests.workers.processes import Fleet
from workers.live_model import LiveModel
from workers.metrics import WorkerMetrics
from workers.settings import WorkerSettings
from workers.trials import Challenger, Trial

pytestmark = pytest.mark.usefixtures("topics")


class Serving:
    """A live model with its metrics, and an operator beside it."""

    def __init__(self, kafka: KafkaSettings, shared: SharedSettings, store: Store) -> None:
        self._kafka, self._shared, self._store = kafka, shared, store
        self.metrics = WorkerMetrics()
        self.model = LiveModel(
            kafka, shared, load(WorkerSettings, challenger_cost=3), self.metrics, Health("release")
        )

    def put(
        self,
        scale: float = 9,
        channel: Channel = "shadow",
        share: float = 0.5,
        breaks_on: BreaksOn = "kaboom",
    ) -> str:
        """Announce a challenger."""
        release = tiny_release(self._store, scale=scale, breaks_on=breaks_on).release
        put_on_channel(self._kafka, self._shared, release, "a test", channel=channel, share=share)
        return release

    def beside(self) -> dict[str, Challenger]:
        """What is tried now, by channel."""
        live = self.model.current().manifest.release
        return {each.channel: each for each in self.model.challengers.beside(live)}

    def takes_up(self, release: str, channel: str = "shadow") -> Challenger:
        """Wait until a challenger is loaded."""
        eventually(
            lambda: channel in self.beside() and self.beside()[channel].release == release,
            f"{release} is taken up",
        )
        return self.beside()[channel]

    def count(self, outcome: str, channel: str = "shadow") -> float:
        """So many challengers ended so."""
        name = "roomstream_worker_challengers_total"
        labels = {"channel": channel, "outcome": outcome}
        return self.metrics.registry.get_sample_value(name, labels) or 0

    def shown(self) -> dict[str, float]:
        """Share by release, as the metric shows it."""
        return {
            sample.labels["release"]: sample.value
            for metric in self.metrics.challenger.collect()
            for sample in metric.samples
        }


@pytest.fixture
def serving(
    kafka_settings: KafkaSettings, shared: SharedSettings, store: Store, live: str
) -> Iterator[Serving]:
    found = Serving(kafka_settings, shared, store)
    with closing(found.model):
        found.model.start(10)
        assert live == found.model.current().manifest.release
        yield found


@ON_EMBEDDED
def test_a_challenger_comes_and_goes(serving: Serving) -> None:
    """On each channel the last one announced, beside the live one, whose encoder it shares."""
    first = serving.put()
    taken = serving.takes_up(first)
    canary = serving.put(scale=8, channel="canary", share=0.1)
    serving.takes_up(canary, "canary")
    second = serving.put(scale=7, share=0.25)
    serving.takes_up(second)

    assert taken.classifier.encoder is serving.model.current().encoder
    assert {canary: 0.1, second: 0.25} == serving.shown()
    serving.put(share=0.0)
    eventually(lambda: "shadow" not in serving.beside(), "the trial has ended")
    assert {canary: 0.1} == serving.shown()
    assert (serving.count("loaded"), serving.count("ended")) == (2, 1)


@ON_EMBEDDED
def test_one_that_became_live_is_none_any_more(
    serving: Serving, kafka_settings: KafkaSettings, shared: SharedSettings
) -> None:
    """Whether or not the end of its trial was announced."""
    release = serving.put()
    serving.takes_up(release)
    make_live(kafka_settings, shared, release, "promoted")
    eventually(lambda: serving.model.current().manifest.release == release, "it is live")

    assert serving.beside() == {}


@ON_EMBEDDED
def test_one_that_cannot_be_loaded_is_refused(serving: Serving, shared: SharedSettings) -> None:
    """The live one serves on, and so does the next challenger."""
    live = serving.model.current()
    store = Store(shared.store)
    broken = tiny_release(store, scale=5)
    blob = broken.blobs["head.onnx"]
    path = store.address.removeprefix("file://")
    with open(f"{path}/blobs/sha256/{blob.digest[:2]}/{blob.digest}", "wb") as file:  # noqa: PTH123
        file.write(b"x" * blob.size_bytes)
    put_on_channel(serving._kafka, shared, broken.release, "a test", channel="shadow", share=0.5)
    eventually(lambda: serving.count("refused") == 1, "it is refused")
    good = serving.put()
    serving.takes_up(good)

    assert serving.model.current() is live


@ON_EMBEDDED
def test_one_that_fails_or_is_slow_is_dropped(serving: Serving) -> None:
    """Until its channel is announced again; a single slow window is not enough."""
    failing = serving.takes_up(serving.put())
    serving.model.challengers.judge(Trial(10, 0.1), {failing: Trial(failed=1, fault="it broke")})
    dropped = serving.beside()
    slow = serving.takes_up(serving.put(scale=8))
    serving.model.challengers.judge(Trial(50, 0.1), {slow: Trial(50, 0.31)})
    after_one = serving.beside()
    serving.model.challengers.judge(Trial(60, 0.1), {slow: Trial(60, 0.5)})

    assert dropped == {}
    assert slow in after_one.values()
    assert serving.beside() == {} == serving.shown()
    assert (serving.count("failed"), serving.count("slow")) == (1, 1)


@ON_EMBEDDED
def test_one_of_equal_speed_stays(serving: Serving) -> None:
    """However many listings it takes."""
    challenger = serving.takes_up(serving.put())
    for _ in range(10):
        serving.model.challengers.judge(Trial(50, 0.1), {challenger: Trial(50, 0.2)})

    assert challenger in serving.beside().values()


@pytest.mark.parametrize(
    ("broker", "delivery"),
    [("embedded_broker", "at-least-once"), ("kafka_node", "exactly-once")],
    indirect=["broker"],
)
def test_workers_answer_with_challengers(
    delivery: str,
    fleet: Fleet,
    kafka_settings: KafkaSettings,
    shared: SharedSettings,
    store: Store,
    live: str,
    topics: str,
) -> None:
    """Every listing has one answer; a share is the canary's, another stands on `classified.shadow`."""
    trials = Serving(kafka_settings, shared, store)
    trials.model.close()
    canary = trials.put(scale=8, channel="canary", share=0.2)
    shadow = trials.put(scale=-12, channel="shadow", share=0.6)
    worker = fleet.start(WORKER_DELIVERY=delivery)
    eventually(lambda: len(worker.metric("challenger_share_ratio")) == 2, "both are taken up")
    send(kafka_settings, Topic.LISTINGS.named(topics), listings(120))
    found = read_until(
        kafka_settings, topics, Topic.CLASSIFIED, lambda found: len(positions(found)) >= 120
    )
    by_release = {event.release for event in answers(found)}
    expected = {
        f"l-{n}"
        for n in range(40)
        if Challenger("shadow", 0.6, None).takes(f"l-{n}")  # type: ignore[arg-type]
    }
    beside = read_until(
        kafka_settings, topics, Topic.SHADOW, lambda found: len(found) >= 3 * len(expected)
    )

    assert set(positions(found).values()) == {1}
    assert {live, canary} == by_release
    assert {shadow} == {event.release for event in answers(beside)}
    assert expected == {event.listing_id for event in answers(beside)}
    assert len(beside) == 3 * len(expected)
    differing = worker.metric("challenger_listings_total")[
        (("channel", "shadow"), ("outcome", "differs"))
    ]
    assert differing == len(beside)
    assert worker.stop() == 0


@ON_EMBEDDED
def test_a_broken_challenger_harms_nobody(
    fleet: Fleet,
    kafka_settings: KafkaSettings,
    shared: SharedSettings,
    store: Store,
    live: str,
    topics: str,
) -> None:
    """It takes everything and fails at everything: the live release answers, and it is dropped."""
    trials = Serving(kafka_settings, shared, store)
    trials.model.close()
    trials.put(channel="canary", share=1.0, breaks_on="everything")
    worker = fleet.start()
    eventually(lambda: bool(worker.metric("challenger_share_ratio")), "it is taken up")
    send(kafka_settings, Topic.LISTINGS.named(topics), listings(60))
    found = read_until(
        kafka_settings, topics, Topic.CLASSIFIED, lambda found: len(positions(found)) >= 60
    )

    assert {live} == {event.release for event in answers(found)}
    eventually(
        lambda: (
            worker.metric("challengers_total")[(("channel", "canary"), ("outcome", "failed"))] == 1
        ),
        "it is dropped",
    )
    assert sum(worker.metric("dead_letters_total").values()) == 0
