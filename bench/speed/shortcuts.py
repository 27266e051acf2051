"""What spares work: an encoder in 8-bit integers, and titles that are remembered."""

import random
from collections import OrderedDict
from collections.abc import Sequence
from statistics import median

import msgspec
import numpy as np
from matplotlib.figure import Figure

from artefacts.classifier import Classifier
from artefacts.manifest import ENCODER
from bench.learning.rows import Row
from bench.speed.models import loaded
from bench.speed.parts import Aim, Part, Run, bars, spread, table
from bench.speed.rounds import Ratio, Timing, Way, interleaved
from bench.speed.titles import rows
from roomstream.listing_wording import ROOM_TYPES
from trainer.base_import import import_base
from trainer.learners import LEARNERS
from trainer.learners.base import Examples, teach
from workers.settings import WorkerSettings

FLOATS, INTEGERS = "32-bit floats", "8-bit integers"
ACCEPTED_LOSS = 0.05
_TAUGHT, _JUDGED, _TEXTS = 8_000, 2_000, 512
_LEARNERS = "slda", "mixture"


class Shortcuts(msgspec.Struct, frozen=True):
    """
    What was measured with the packaged MiniLM.

    Attributes:
        loss: Of the features of the golden inputs, 1 - cosine.
        timings: By precision.
        megabytes: Of the encoder's file, by precision.
        accuracy: Of a learner on listings that it has not seen, by learner and precision.
        agreement: Share of these that it answers alike with both, by learner.
        taught: Listings that it had learned.
        judged: Listings that it was judged by.
        remembered: Share of titles that are among the last ones, by city.
    """

    loss: float
    timings: dict[str, Timing]
    megabytes: dict[str, float]
    accuracy: dict[str, dict[str, float]]
    agreement: dict[str, float]
    taught: int
    judged: int
    remembered: dict[str, float]

    @property
    def title(self) -> str:
        """The model."""
        return "packaged MiniLM"

    def aims(self) -> list[Aim]:
        """None was set."""
        return []

    def table(self) -> str:
        """Both precisions beside each other, and how many titles come again."""
        head = (
            "packaged MiniLM", "speed", "encodings/s", "encoder, MB",
            *(f"accuracy, {learner}" for learner in self.accuracy),
        )  # fmt: skip
        rows = [
            (
                precision,
                spread(self._times(precision)),
                f"{median(timing.rates):.0f}",
                f"{self.megabytes[precision]:.0f}",
                *(f"{found[precision]:.1%}" for found in self.accuracy.values()),
            )
            for precision, timing in self.timings.items()
        ]
        alike = ", ".join(f"{share:.1%} ({learner})" for learner, share in self.agreement.items())
        again = ", ".join(f"{city} {share:.1%}" for city, share in self.remembered.items())
        return (
            f"{table(head, rows)}\n\nThe features of the golden inputs lose {self.loss:.4f} (1 - "
            f"cosine). After {self.taught:,} labels, {alike} of {self.judged:,} listings that were not "
            f"learned are answered alike.\n\nOf the titles that came, so many were remembered: {again}."
        )

    def figure(self) -> Figure:
        """Both precisions as bars."""
        ratios = {precision: self._times(precision) for precision in self.timings}
        return bars("packaged MiniLM: speed, as a multiple of 32-bit floats", ratios)

    def _times(self, precision: str) -> Ratio:
        return Ratio.of(self.timings[precision].rates, self.timings[FLOATS].rates)


def measure(run: Run) -> Shortcuts:
    """
    Encode, learn and judge with both precisions.

    Args:
        run: Its texts are encoded; listings with labels are learned.
    """
    run.tick("8-bit integers: the packaged MiniLM")
    models = {
        FLOATS: import_base("minilm", ROOM_TYPES),
        INTEGERS: import_base("minilm", ROOM_TYPES, int8_loss=ACCEPTED_LOSS),
    }
    quantisation = models[INTEGERS].manifest.quantisation
    assert quantisation is not None, "this is a bug: it was asked for"
    classifiers = {precision: loaded(model) for precision, model in models.items()}
    tokens = classifiers[FLOATS].tokenise(run.texts[:_TEXTS])
    ways = {
        precision: Way(lambda each=each: each.encoder.of_tokens(tokens), len(tokens))  # type: ignore[misc]
        for precision, each in classifiers.items()
    }
    timings = interleaved(ways, run.rounds, run.tick)
    labelled = [row for row in rows(run.data, 2 * (_TAUGHT + _JUDGED)) if row.label]
    taught = _sample([row for row in labelled if not row.tested], _TAUGHT)
    judged = _sample([row for row in labelled if row.tested], _JUDGED)
    answers: dict[str, dict[str, list[str]]] = {name: {} for name in _LEARNERS}
    for precision, classifier in classifiers.items():
        run.tick(f"{precision}: learning {len(taught):,} listings")
        seen, unseen = (_examples(classifier, each) for each in (taught, judged))
        for name, found in answers.items():
            found[precision] = _answers(name, seen, [row.label for row in taught], unseen)
    labels = [row.label for row in judged]
    return Shortcuts(
        loss=quantisation.loss,
        timings=timings,
        megabytes={name: len(model.parts[ENCODER]) / 1e6 for name, model in models.items()},
        accuracy={
            name: {precision: _share(labels, each) for precision, each in found.items()}
            for name, found in answers.items()
        },
        agreement={name: _share(found[FLOATS], found[INTEGERS]) for name, found in answers.items()},
        taught=len(taught),
        judged=len(judged),
        remembered={
            city: _remembered([row.text for row in labelled if row.domain == city])
            for city in dict.fromkeys(row.domain for row in labelled)
        },
    )


def _sample(rows: Sequence[Row], count: int) -> list[Row]:
    return random.Random(0).sample(rows, min(count, len(rows)))  # noqa: S311 - no secret


def _examples(classifier: Classifier, rows: Sequence[Row]) -> Examples:
    tokens = classifier.tokenise([row.text for row in rows])
    return Examples(classifier.encoder.of_tokens(tokens).features, [text.ids for text in tokens])


def _answers(name: str, seen: Examples, labels: Sequence[str], unseen: Examples) -> list[str]:
    learner = LEARNERS[name]()
    for label in ROOM_TYPES:
        learner.add_class(label)
    teach(learner, seen, labels)
    best = np.argmax(learner.logits(unseen), axis=1)
    return [learner.classes[number] for number in best]


def _share(these: Sequence[str], those: Sequence[str]) -> float:
    return float(np.mean([one == other for one, other in zip(these, those, strict=True)]))


def _remembered(texts: Sequence[str]) -> float:
    """The share of texts that are among as many different ones before as a worker remembers."""
    most, found = WorkerSettings.model_fields["recent_texts"].default, 0
    recent: OrderedDict[str, None] = OrderedDict()
    for text in texts:
        found += text in recent
        recent[text] = None
        recent.move_to_end(text)
        if len(recent) > most:
            recent.popitem(last=False)
    return found / len(texts)


_ABOUT = f"""\
*8-bit integers*: what `roomstream base import --int8 {ACCEPTED_LOSS}` makes of the encoder. Both encode
the same titles; then a learner learns the same listings of four cities with each, and is judged by those
of hosts that it has not seen. Processors without instructions for such products (AVX-512 VNNI, AMX) gain
little, and may fail the golden inputs. *Remembered*: a worker keeps the features of the last 10,000 texts
(`WORKER_RECENT_TEXTS`); the shares are of the listings of a city in the order of their arrival.
"""

PART = Part("shortcuts", _ABOUT, lambda run: [measure(run)], Shortcuts, on_kafka=False)
