"""Fine-tuned encoders with a linear head: the naive way, and the bound."""

import copy
import hashlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from artefacts.graphs import Floats
from bench.learning.bases import untuned
from bench.learning.finetuning import fine_tune, log_probabilities
from bench.learning.methods import Cost, Run, Watch, named
from bench.learning.rows import Row


class Naive:
    """
    Fine-tune on each phase as it comes, and on nothing else.

    Where the stream begins with what the first encoder was tuned on, that is the first phase. All
    classes have their place from the beginning, which is more than a stream would tell.
    """

    at_once = False

    def __init__(self, run: Run) -> None:
        self._run = run
        self._classes = run.stream.classes
        self._start = run.start
        self._network = copy.deepcopy(run.start.network)
        self.cost = Cost()

    def learn(self, rows: Sequence[Row]) -> None:
        """Fine-tune for one epoch."""
        if rows == self._run.stream.begin:
            self.cost.cpu_seconds += self._start.cpu_seconds
            self.cost.waits.append(self._start.cpu_seconds)
            return
        with Watch(self._run.bench.encoders) as watch:
            fine_tune(
                self._network,
                self._start.tokens([row.text for row in rows]),
                [self._classes.index(row.label) for row in rows],
                self._run.seed,
                self._run.bench.step,
            )
        self.cost.cpu_seconds += watch.cpu_seconds
        self.cost.waits.append(watch.wall_seconds)

    def predict(self, texts: Sequence[str]) -> list[str]:
        """Label each text."""
        return named(log_probabilities(self._network, self._start.tokens(texts)), self._classes)


class Joint:
    """
    The bound: fine-tune the model as it came on everything at once, shuffled.

    Args:
        run: What is learned.
        with_ngrams: Answer with the mean of its log probabilities and those of a logistic regression on
            the presence of wordpieces and pairs of them.
        only: Learn these rows and nothing else.
    """

    at_once = True

    def __init__(
        self, run: Run, with_ngrams: bool = False, only: Sequence[Row] | None = None
    ) -> None:
        self._run = run
        self._classes = run.stream.classes
        self._tests = [row.text for row in run.stream.test]
        self._with_ngrams = with_ngrams
        self._only = only
        self.cost = Cost()

    def learn(self, rows: Sequence[Row]) -> None:
        """Learn everything, and score the test; streams of the same rows share it."""
        rows = rows if self._only is None else self._only
        known = self._run.bench.joint
        key = _digest(rows, self._tests)
        if key not in known:
            known[key] = self._scores(rows)
        scores, cost = known[key]
        self.cost = Cost(cost.cpu_seconds, list(cost.waits))
        if self._with_ngrams:
            with Watch(self._run.bench.encoders) as watch:
                scores = (scores + self._ngram_scores(rows)) / np.float32(2)
            self.cost.cpu_seconds += watch.cpu_seconds
            self.cost.waits = [wait + watch.wall_seconds for wait in self.cost.waits]
        self._answers = dict(zip(self._tests, named(scores, self._classes), strict=True))

    def predict(self, texts: Sequence[str]) -> list[str]:
        """Label texts of the test."""
        return [self._answers[text] for text in texts]

    def _scores(self, rows: Sequence[Row]) -> tuple[Floats, Cost]:
        run = self._run
        start = untuned(run.bench.source, len(self._classes), run.seed)
        with Watch(run.bench.encoders) as watch:
            fine_tune(
                start.network,
                start.tokens([row.text for row in rows]),
                [self._classes.index(row.label) for row in rows],
                run.seed,
                run.bench.step,
            )
        scores = log_probabilities(start.network, start.tokens(self._tests))
        return scores, Cost(watch.cpu_seconds, [watch.wall_seconds])

    def _ngram_scores(self, rows: Sequence[Row]) -> Floats:
        """Log probabilities float32 (texts, classes); a class that was not taught has next to none."""
        tokens = self._run.start.tokens
        model = make_pipeline(
            CountVectorizer(analyzer=_ngrams, binary=True, min_df=2),
            Normalizer(),
            LogisticRegression(C=10, max_iter=200),
        )
        model.fit(tokens([row.text for row in rows]), [row.label for row in rows])
        found = model.predict_log_proba(tokens(self._tests))
        scores = np.full((len(self._tests), len(self._classes)), found.min() - 1, np.float32)
        scores[:, [self._classes.index(label) for label in model.classes_]] = found
        return scores


def _ngrams(tokens: Sequence[int]) -> list[tuple[int, ...]]:
    return [*((token,) for token in tokens), *pairwise(tokens)]


def _digest(rows: Sequence[Row], tests: Sequence[str]) -> str:
    taught = sorted(f"{row.key} {row.label}" for row in rows)
    return hashlib.sha256("\n".join([*taught, *tests]).encode()).hexdigest()
