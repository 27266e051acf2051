"""Texts to labels: our classifier beside ONNX Runtime alone and beside what people use, on one core."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import numpy as np
import torch
import transformers
from matplotlib.figure import Figure

from artefacts.batching import token_budget_batches
from artefacts.classifier import Classifier
from artefacts.graphs import Ids, padded
from bench.speed.models import Size, loaded, saved
from bench.speed.parts import Aim, Part, Run, bars, spread, table
from bench.speed.rounds import Ratio, Timing, Way, interleaved
from trainer.base_import import import_base

CEILING = "ONNX Runtime alone, sorted inputs ready"
BOUND = "ONNX Runtime alone, its arrays bound (io-binding)"
OURS = "roomstream: tokenise, sort, infer, name"
UNSORTED = "ONNX Runtime, unsorted batches of 32"
PIPELINE = "Hugging Face pipeline, batches of {}"
LIMIT = "matrix products alone (the limit)"
MOST_TEXTS, _NAIVE_TEXTS = 512, 128
_MATRIX = 1024


class Serving(msgspec.Struct, frozen=True):
    """
    What was measured with one model.

    Attributes:
        model: Its name.
        tokens: Of the mean text.
        operations: Floating-point operations of the mean text, without padding.
        limit: Those that one core does in a second in 32-bit matrix products, each round.
        timings: By way.
        padding: Tokens with padding over tokens, by way.
    """

    model: str
    tokens: float
    operations: float
    limit: list[float]
    timings: dict[str, Timing]
    padding: dict[str, float]

    @property
    def title(self) -> str:
        """The model."""
        return self.model

    def aims(self) -> list[Aim]:
        """Nearly as fast as ONNX Runtime alone."""
        what = f"classifier against ONNX Runtime alone on sorted batches, {self.model}"
        return [Aim(what=what, aim=0.97, better="more", found=self.against_ceiling(OURS))]

    def table(self) -> str:
        """Every way, in shares of ONNX Runtime alone."""
        head = (
            self.model, "of ONNX Runtime alone", "of the limit", "texts/s", "CPU ms a text", "padding",
        )  # fmt: skip
        rows = [
            (
                way,
                spread(self.against_ceiling(way)),
                f"{self.share_of_limit(way):.2f}",
                f"{median(timing.rates):.0f}",
                f"{timing.cpu_milliseconds:.2f}",
                f"{self.padding[way]:.2f}",
            )
            for way, timing in self.timings.items()
        ]
        times = " and ".join(
            f"{spread(self._times(PIPELINE.format(size)))} with batches of {size}"
            for size in (1, 32)
        )
        return (
            f"{table(head, rows)}\n\nTimes as fast as the Hugging Face pipeline: {times}. The mean title "
            f"has {self.tokens:.1f} tokens."
        )

    def figure(self) -> Figure:
        """Every way as a bar."""
        ratios = {way: self.against_ceiling(way) for way in self.timings}
        return bars(f"{self.model}: speed, as a share of ONNX Runtime alone", ratios)

    def _times(self, way: str) -> Ratio:
        return Ratio.of(self.timings[OURS].rates, self.timings[way].rates)

    def against_ceiling(self, way: str) -> Ratio:
        """How fast a way is, as a share of ONNX Runtime alone."""
        return Ratio.of(self.timings[way].rates, self.timings[CEILING].rates)

    def share_of_limit(self, way: str) -> float:
        """The share of the machine's matrix products that become answers."""
        return median(
            rate * self.operations / limit
            for rate, limit in zip(self.timings[way].rates, self.limit, strict=True)
        )


def measure(size: Size, run: Run) -> Serving:
    """
    Measure all ways with a model of random weights.

    Args:
        size: Of the model.
        run: Of its texts 512 are answered; the Hugging Face pipeline gets a quarter of them.
    """
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="roomstream-bench-") as folder:
        source = saved(size, Path(folder))
        classifier, pipeline = loaded(import_base(str(source))), _pipeline(str(source))
    texts = run.texts[:MOST_TEXTS]
    lengths = [len(text.ids) for text in classifier.tokenise(texts)]
    naive = texts[:_NAIVE_TEXTS]
    ways = {
        CEILING: Way(ceiling(classifier, texts), len(texts)),
        BOUND: Way(_bound(classifier, texts), len(texts)),
        OURS: Way(lambda: classifier.predict(texts), len(texts)),
        UNSORTED: Way(_unsorted(classifier, texts, 32), len(texts)),
        PIPELINE.format(32): Way(lambda: pipeline(list(naive), batch_size=32), len(naive)),
        PIPELINE.format(1): Way(lambda: pipeline(list(naive), batch_size=1), len(naive)),
        LIMIT: Way(_matrix_products(), 1),
    }
    timings = interleaved(ways, run.rounds, lambda way: run.tick(f"{size.name}: {way}"))
    limit = [2 * _MATRIX**3 * rate for rate in timings.pop(LIMIT).rates]
    in_order = [
        [*range(start, min(start + 32, len(lengths)))] for start in range(0, len(lengths), 32)
    ]
    in_sorted = _padding(lengths, token_budget_batches(lengths))
    return Serving(
        size.name,
        sum(lengths) / len(lengths),
        sum(map(size.operations, lengths)) / len(lengths),
        limit,
        timings,
        {
            CEILING: in_sorted,
            BOUND: in_sorted,
            OURS: in_sorted,
            UNSORTED: _padding(lengths, in_order),
            PIPELINE.format(32): _padding(lengths, in_order),
            PIPELINE.format(1): 1.0,
        },
    )


def _pipeline(source: str) -> Callable[..., object]:
    made: Any = transformers.pipeline
    pipeline: Callable[..., object] = made("text-classification", source, device="cpu", top_k=None)
    return pipeline


def ceiling(classifier: Classifier, texts: Sequence[str]) -> Callable[[], None]:
    """What runs ONNX Runtime on texts that are tokenised, sorted and padded already."""
    ready = _sorted_inputs(classifier, texts)

    def run() -> None:
        for ids, mask in ready:
            classifier.head(classifier.encoder.features(ids, mask), ids, mask)

    return run


def _bound(classifier: Classifier, texts: Sequence[str]) -> Callable[[], None]:
    """The same, where ONNX Runtime reads and writes arrays that were made before, one for each batch."""
    session = classifier.encoder._graph._session
    ready = []
    for ids, mask in _sorted_inputs(classifier, texts):
        features = np.empty((len(ids), classifier.encoder.dimensions), np.float32)
        binding = session.io_binding()
        for name, values in (("input_ids", ids), ("attention_mask", mask)):
            binding.bind_cpu_input(name, values)
        place = features.ctypes.data
        binding.bind_output("features", "cpu", 0, np.float32, features.shape, place)
        ready.append((binding, features, ids, mask))

    def run() -> None:
        for binding, features, ids, mask in ready:
            session.run_with_iobinding(binding)
            classifier.head(features, ids, mask)

    return run


def _sorted_inputs(classifier: Classifier, texts: Sequence[str]) -> list[tuple[Ids, Ids]]:
    """Ids and masks, batch by batch."""
    rows = [text.ids for text in classifier.tokenise(texts)]
    return [
        padded([rows[index] for index in batch], classifier.tokenizer.pad_id)
        for batch in token_budget_batches([len(ids) for ids in rows])
    ]


def _unsorted(classifier: Classifier, texts: Sequence[str], batch: int) -> Callable[[], None]:
    def run() -> None:
        for start in range(0, len(texts), batch):
            rows = [text.ids for text in classifier.tokenise(texts[start : start + batch])]
            ids, mask = padded(rows, classifier.tokenizer.pad_id)
            classifier.head(classifier.encoder.features(ids, mask), ids, mask)

    return run


def _matrix_products() -> Callable[[], torch.Tensor]:
    left, right = torch.rand(_MATRIX, _MATRIX), torch.rand(_MATRIX, _MATRIX)
    return lambda: left @ right


def _padding(lengths: Sequence[int], batches: Sequence[Sequence[int]]) -> float:
    total = sum(len(batch) * max(lengths[index] for index in batch) for batch in batches)
    return total / sum(lengths)


_ABOUT = """\
512 titles to labels, at once. *ONNX Runtime alone* gets inputs that were tokenised, sorted and padded
before the clock starts: nothing can be faster with this library. *Bound* spares it the copies of inputs
and outputs: what that saves is within the spread, so a worker does not do it. The Hugging Face pipeline
has the same weights, and so the same answers. *Of the limit* is the share of what this core does in
32-bit matrix products (1024 by 1024) in the same round that becomes answers, padding left out.
No title comes twice: what is remembered of repeated ones (`WORKER_RECENT_TEXTS`) shows nowhere here.
"""

PART = Part(
    "serving",
    _ABOUT,
    lambda run: (measure(size, run) for size in run.sizes),
    Serving,
    on_kafka=False,
)
