"""How fast labels are learned: until they serve, each by the learner, and in a step of fine-tuning."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from threading import Lock, Thread

import msgspec
import numpy as np
import torch
from matplotlib.figure import Figure
from torch.nn import functional

from artefacts.classifier import Classifier
from artefacts.graphs import padded
from artefacts.manifest import WEIGHTS
from artefacts.store import Store
from bench.speed.labels import kept_listings
from bench.speed.load import Load, lasting
from bench.speed.models import loaded
from bench.speed.parts import Aim, Part, Run, of_rounds, spread, table
from bench.speed.rounds import Ratio, Timing, Way, interleaved
from bench.speed.stage import Model, Process, Stage
from roomstream.demo.readings import scrape
from roomstream.listing_wording import ROOM_TYPES
from roomstream.listings import Listing, labelled_event
from roomstream.ports import reserved_port
from roomstream.sending import Pace, Placed, Sender
from schemas.errors import TryAgain
from schemas.events import LabelledEvent
from schemas.topics import Topic
from trainer.base_import import import_base
from trainer.encoders import encoder_of_weights
from trainer.finetuning.job import Listings
from trainer.finetuning.loop import CLIP
from trainer.finetuning.precision import training_precision
from trainer.finetuning.recipe import Training, linear_model
from trainer.learners import LEARNERS
from trainer.learners.base import TEACHING_BATCH, Examples

_LABELS_A_SECOND = 10
_LISTINGS_A_SECOND = 20
_STEPS = 3  # in turns, so that what slows the machine down slows both ways
_TURNS = 4  # of each round
_PREPARED = 400  # mini-batches: as many as there are turns, so that both learn the same ones
_FAR = 10_000
_TEXTS = 1_024
_PATIENCE_SECONDS = 300


class LearningSpeed(msgspec.Struct, frozen=True):
    """
    What was measured with the packaged MiniLM.

    Attributes:
        label_to_live_seconds: From the sending of each label to the first answer of a release that
            handled it.
        labels_a_second: Of a trainer for which labels wait, encoding them included.
        update_microseconds: Of the default learner for a label, in mini-batches, round by round.
        export_milliseconds: From its state to a head, round by round.
        steps: Of fine-tuning: ours, and a bare loop on the same mini-batches.
    """

    label_to_live_seconds: list[float]
    labels_a_second: float
    update_microseconds: list[float]
    export_milliseconds: list[float]
    steps: dict[str, Timing]

    @property
    def title(self) -> str:
        """The model."""
        return "packaged MiniLM"

    def aims(self) -> list[Aim]:
        """Soon live, and no slower than a loop that one writes oneself."""
        return [
            Aim(
                what="label to live, median",
                aim=3,
                better="less",
                unit="s",
                found=of_rounds(self.label_to_live_seconds),
            ),
            Aim(
                what="fine-tune step against a bare torch loop",
                aim=0.95,
                better="more",
                found=self._steps(),
            ),
        ]

    def table(self) -> str:
        """All figures."""
        waits = np.percentile(self.label_to_live_seconds, (50, 90, 99))
        rows = [
            ("label to live: 50 / 90 / 99%", " / ".join(f"{each:.1f} s" for each in waits)),
            ("labels a second, encoding included", f"{self.labels_a_second:.0f}"),
            (
                "update of the learner, a label",
                f"{spread(of_rounds(self.update_microseconds), 0)} µs",
            ),
            ("learner to head", f"{spread(of_rounds(self.export_milliseconds), 0)} ms"),
            ("fine-tune step against a bare loop", spread(self._steps())),
            *(
                (f"fine-tune step, {name}", f"{timing.cpu_milliseconds:.0f} ms")
                for name, timing in self.steps.items()
            ),
        ]
        return table(("packaged MiniLM", ""), rows)

    def figure(self) -> Figure:
        """How long labels took."""
        figure = Figure(figsize=(8, 2.5))
        axes = figure.subplots()
        axes.hist(self.label_to_live_seconds, bins=40)
        axes.set_xlabel("seconds from a label to the first answer that knows it")
        axes.set_ylabel("labels")
        return figure

    def _steps(self) -> Ratio:
        """By processor time: Kafka idles on the same cores, and both have one thread."""
        ours, bare = self.steps.values()
        return Ratio.of(bare.cpu_seconds, ours.cpu_seconds)


def measure(run: Run) -> LearningSpeed:
    """Measure the trainer and its parts."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="roomstream-bench-") as folder:
        run.tick("learning: the packaged MiniLM")
        model = Model.of(import_base("minilm", ROOM_TYPES), Path(folder))
        classifier = loaded(model.imported)
        update, export = _updates(classifier, run)
        listings = kept_listings(classifier, dict(islice(run.labels.items(), _TEXTS)))
        ways = {
            "ours": Way(_fine_tuning(model, listings), _STEPS),
            "a bare loop": Way(_bare_loop(model, listings), _STEPS),
        }
        steps = interleaved(ways, _TURNS * run.rounds, lambda way: run.tick(f"fine-tuning, {way}"))
        seconds, rate = _trainer(model, run, Path(folder))
    return LearningSpeed(seconds, rate, update, export, steps)


def _trainer(model: Model, run: Run, folder: Path) -> tuple[list[float], float]:
    """Label to live in seconds, and labels a second."""
    stage = Stage.made(model, run.servers)
    waiting = run.texts[:_TEXTS]
    with Sender(stage.kafka, stage.shared.topic_prefix) as sender:
        for number, text in enumerate(waiting):
            sender.send_label(_label(f"waiting-{number}", text, run.labels[text]))
    with reserved_port() as port:
        trainer = stage.trainer(folder / "trainer.sqlite", port)
    commands = [*stage.workers("exactly-once", [0]), trainer]
    with stage.running(commands) as processes, stage.results_reader() as reader:
        run.tick(f"learning: {len(waiting):,} labels wait for the trainer")
        rate = _throughput(port, len(waiting), processes[1])
        run.tick(f"learning: label to live, {_LABELS_A_SECOND} labels a second")
        labels = _Labels(stage, run.labels)
        load = Load(stage, reader, run.texts, processes, labels.answered_by)
        going_on = lasting(2 * run.seconds)
        sending = Thread(target=labels.send, args=(run.texts[_TEXTS:], going_on))
        sending.start()
        load.run(_LISTINGS_A_SECOND, going_on)
        sending.join()
    return labels.seconds, rate


def _throughput(port: int, count: int, trainer: Process) -> float:
    """Labels a second from the first that the trainer has handled to the last."""
    began, first = 0.0, 0.0
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < give_up_at and trainer.poll() is None:
        handled, now = _handled(port), time.monotonic()
        if handled >= count:
            return (handled - first) / (now - began)
        if handled and not began:
            began, first = now, handled
        time.sleep(0.2)
    raise TryAgain(
        f"{_handled(port):.0f} of {count} labels were handled, or the trainer has ended."
    )


def _handled(port: int) -> float:
    """How many labels a trainer says that it has handled; 0 before it says anything."""
    return sum(
        value
        for (name, _), value in scrape(port).items()
        if name == "roomstream_trainer_events_total"
    )


class _Labels:
    """Labels on their way, until a worker answers with a release that handled them."""

    def __init__(self, stage: Stage, labels: Mapping[str, str]) -> None:
        self._stage = stage
        self._labels = labels
        self._store = Store(stage.shared.store)
        self._lock = Lock()
        self._waiting: dict[tuple[int, int], float] = {}
        self._seen: set[str] = set()
        self.seconds: list[float] = []

    def send(self, texts: Sequence[str], going_on: Callable[[], bool]) -> None:
        """Send a label for each title, evenly."""
        pace = Pace(_LABELS_A_SECOND)
        with Sender(self._stage.kafka, self._stage.shared.topic_prefix) as sender:
            for number, text in enumerate(cycle(texts)):
                pace.wait()
                if not going_on():
                    break
                label = _label(f"label-{number}", text, self._labels[text])
                sender.send_label(label, self._sent_at(time.time()))

    def answered_by(self, release: str) -> None:
        """Note the release of a result: what it handled is live."""
        if release in self._seen:
            return
        now = time.time()
        self._seen.add(release)
        ranges = self._store.manifest(release).lineage.ranges
        labelled = self._stage.topic(Topic.LABELLED)
        handled = {each.partition: each.next for each in ranges if each.topic == labelled}
        with self._lock:
            live = [place for place in self._waiting if place[1] < handled.get(place[0], 0)]
            self.seconds += [now - self._waiting.pop(place) for place in live]

    def _sent_at(self, sent: float) -> Placed:
        def placed(partition: int, offset: int) -> None:
            with self._lock:
                self._waiting[partition, offset] = sent

        return placed


def _label(listing_id: str, text: str, label: str) -> LabelledEvent:
    return labelled_event(Listing(listing_id, text), label, listing_id, datetime.now(UTC))


def _updates(classifier: Classifier, run: Run) -> tuple[list[float], list[float]]:
    """Microseconds a label, and milliseconds from the learner to a head, round by round."""
    tokens = classifier.tokenise(run.texts[: 2 * _TEXTS])
    seen = Examples(classifier.encoder.of_tokens(tokens).features, [text.ids for text in tokens])
    labels = list(run.labels.values())[: 2 * _TEXTS]
    update, export = [], []
    for _ in range(run.rounds):
        learner = LEARNERS["mixture"]()
        for label in ROOM_TYPES:
            learner.add_class(label)
        started = time.perf_counter()
        for first in range(0, len(labels), TEACHING_BATCH):
            batch = slice(first, first + TEACHING_BATCH)
            learner.learn(seen[batch], labels[batch])
        taught = time.perf_counter()
        learner.head()
        update.append(1e6 * (taught - started) / len(labels))
        export.append(1e3 * (time.perf_counter() - taught))
    return update, export


def _training(model: Model, listings: Listings) -> Training:
    """A run whose encoder is warm, and that is far from its next evaluation."""
    encoder = encoder_of_weights(model.imported.parts[WEIGHTS])
    training = Training(encoder, listings, [1] * len(ROOM_TYPES), _FAR, seed=0)
    training.step = _FAR // 5 + 1
    return training


def _fine_tuning(model: Model, listings: Listings) -> Callable[[], None]:
    training = _training(model, listings)

    def run() -> None:
        for _ in range(_STEPS):
            training.advance()

    return run


def _bare_loop(model: Model, listings: Listings) -> Callable[[], None]:
    """What one writes oneself: AdamW on cross-entropy, with clipping, on ours made before."""
    drawn = _training(model, listings)
    batches = []
    for step in range(drawn.step, drawn.step + _PREPARED):
        rows = drawn.drawn(step)
        ids, mask = padded([listings.tokens[row] for row in rows])
        labels = torch.from_numpy(listings.labels[rows])
        batches.append((torch.from_numpy(ids), torch.from_numpy(mask), labels))
    classifier = linear_model(encoder_of_weights(model.imported.parts[WEIGHTS]), len(ROOM_TYPES))
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=1e-4, fused=True)

    coming = cycle(batches)

    def run() -> None:
        classifier.train()
        for ids, mask, labels in islice(coming, _STEPS):
            with training_precision():
                features = classifier.encoder(ids, mask)
            loss = functional.cross_entropy(classifier.scores(features.float()), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(classifier.parameters(), CLIP)
            optimizer.step()
            optimizer.zero_grad()

    return run


_ABOUT = """\
With the packaged MiniLM and one thread. *Label to live*: from the sending of a label to the first
result on `classified` of a release that handled it, at 10 labels a second, the titles' own, beside 20
listings a second, trainer and worker on the same two cores. The bare loop is what one writes oneself:
AdamW on the cross-entropy, with clipping, on the same mini-batches, which it finds padded; ours draws
and pads them, adds the distillation loss and keeps running means of the weights. Both are compared by
processor time.
"""

PART = Part("learning", _ABOUT, lambda run: [measure(run)], LearningSpeed)
