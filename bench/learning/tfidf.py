"""What people use today: TF-IDF of words and characters with a linear model (scikit-learn)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import make_pipeline, make_union

from bench.learning.methods import Cost, Run, Watch
from bench.learning.rows import Row

BATCH = 64

_COUNTED: dict[str, Any] = {"n_features": 2**20, "norm": None, "alternate_sign": False}


class Refitted:
    """TF-IDF (1-2 words, 3-5 characters) and logistic regression, refitted on everything so far."""

    at_once = False

    def __init__(self, run: Run) -> None:
        self._run = run
        self._rows: list[Row] = []
        self.cost = Cost()

    def learn(self, rows: Sequence[Row]) -> None:
        """Keep the labels, and fit to all of them."""
        self._rows += rows
        labels = [row.label for row in self._rows]
        model = (
            LogisticRegression(C=10, max_iter=200) if len(set(labels)) > 1 else DummyClassifier()
        )
        self._model = make_pipeline(
            make_union(
                TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
                TfidfVectorizer(
                    analyzer="char_wb", ngram_range=(3, 5), min_df=2, sublinear_tf=True
                ),
            ),
            model,
        )
        with Watch(self._run.bench.encoders) as watch:
            self._model.fit([row.text for row in self._rows], labels)
        self.cost.cpu_seconds += watch.cpu_seconds
        self.cost.waits.append(watch.wall_seconds)

    def predict(self, texts: Sequence[str]) -> list[str]:
        """Label each text."""
        return [str(label) for label in self._model.predict(list(texts))]


class OnePass:
    """
    The same features hashed, and logistic regression by stochastic gradient descent.

    Each label is learned once, in mini-batches; document frequencies are those of the first phase. All
    classes have their place from the beginning.
    """

    at_once = False

    def __init__(self, run: Run) -> None:
        self._run = run
        self._hashed = make_union(
            HashingVectorizer(ngram_range=(1, 2), **_COUNTED),
            HashingVectorizer(analyzer="char_wb", ngram_range=(3, 5), **_COUNTED),
        )
        self._weights: TfidfTransformer | None = None
        self._model = SGDClassifier(loss="log_loss", random_state=run.seed)
        self.cost = Cost()

    def learn(self, rows: Sequence[Row]) -> None:
        """Take a step for each mini-batch."""
        if self._weights is None:
            texts = [row.text for row in rows]
            self._weights = TfidfTransformer().fit(self._hashed.transform(texts))
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            with Watch(self._run.bench.encoders) as watch:
                self._model.partial_fit(
                    self._features([row.text for row in batch]),
                    np.asarray([row.label for row in batch]),
                    classes=np.asarray(self._run.stream.classes),
                )
            self.cost.cpu_seconds += watch.cpu_seconds
            self.cost.waits.append(watch.wall_seconds)

    def predict(self, texts: Sequence[str]) -> list[str]:
        """Label each text."""
        return [str(label) for label in self._model.predict(self._features(texts))]

    def _features(self, texts: Sequence[str]) -> object:
        assert self._weights, "this is a bug: it answers before it learned"
        return self._weights.transform(self._hashed.transform(list(texts)))
