"""How well the stream is predicted: kept in the database, and told to Prometheus."""

import math
from collections.abc import Sequence

import msgspec

from trainer.database import Database
from trainer.intake import Label
from trainer.metrics import TrainerMetrics
from trainer.prequential import WINDOW, Counts, Prediction, Prequential, Progress

_FACT = "progress"
_UNKNOWN = Progress(math.nan, math.nan)


class _Kept(msgspec.Struct, frozen=True):
    classes: dict[str, Progress] = {}
    domains: dict[str, Progress] = {}


class Scoreboard:
    """
    Prequential figures that survive a restart.

    The labels in the database, with what was predicted for them, are the counts; the best of every
    class and domain is kept beside them.

    Args:
        database: Where they are.
        metrics: Where they are told.
    """

    def __init__(self, database: Database, metrics: TrainerMetrics) -> None:
        self._database = database
        self._metrics = metrics
        kept = msgspec.json.decode(database.fact(_FACT) or b"{}", type=_Kept)
        self._prequential = Prequential(
            database.history(WINDOW), database.tally(), kept.classes, kept.domains
        )

    def add(self, label: Label, predicted: str | None) -> None:
        """Note what was predicted for a label before it was learned."""
        self._prequential.add(Prediction(label.label, predicted, label.domain))

    def keep(self) -> None:
        """Keep the best so far, inside the transaction of a mini-batch."""
        self._prequential.mark()
        kept = _Kept(self._prequential.classes, self._prequential.domains)
        self._database.remember(_FACT, msgspec.json.encode(kept))

    def show(self, classes: Sequence[str]) -> None:
        """Tell Prometheus; what is not known of a class yet is not a number."""
        metrics, board = self._metrics, self._prequential
        for span, counts in (("window", board.window), ("start", board.since_start)):
            self._show_span(span, counts, classes)
        for label in classes:
            progress = board.classes.get(label, _UNKNOWN)
            metrics.best_recall.labels(label).set(progress.best)
            metrics.class_forgetting.labels(label).set(progress.forgetting)
        self._show_domains()

    def _show_span(self, span: str, counts: Counts, classes: Sequence[str]) -> None:
        metrics = self._metrics
        accuracy, macro_f1 = counts.accuracy(), counts.macro_f1()
        if accuracy is not None and macro_f1 is not None:
            metrics.accuracy.labels(span).set(accuracy)
            metrics.macro_f1.labels(span).set(macro_f1)
        recall = counts.recall()
        for label in classes:
            metrics.recall.labels(label, span).set(recall.get(label, math.nan))

    def _show_domains(self) -> None:
        """Only those that are shown now: a domain that is no longer common must not stay for ever."""
        metrics, board = self._metrics, self._prequential
        for gauge in (metrics.domain_accuracy, metrics.best_accuracy, metrics.domain_forgetting):
            gauge.clear()
        for span, counts in (("window", board.window), ("start", board.since_start)):
            for domain, share in counts.domain_accuracy().items():
                metrics.domain_accuracy.labels(domain, span).set(share)
        for domain, progress in board.domains.items():
            metrics.best_accuracy.labels(domain).set(progress.best)
            metrics.domain_forgetting.labels(domain).set(progress.forgetting)
