"""What a release must be better than: the classifier that many would build first."""

import time
from collections.abc import Mapping, Sequence

import structlog
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline, make_union

from trainer.database import Database
from trainer.evaluation import Truth

_log = structlog.get_logger(__name__)

GROWTH = 1.1
"""It is fitted again when there are so many times the labels …"""
PATIENCE = 50
"""… and after so many times as long as the last fit took: it may cost 2% of the time."""


class Baseline:
    """
    TF-IDF of words (1-2) and characters (3-5) with logistic regression, fitted to the replay buffer.

    Args:
        database: Holds the replay buffer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._model: Pipeline | None = None
        self._said: dict[str, str] = {}  # most of a hold-out was there at the last candidate
        self._labels = 0
        self._encoding = ""
        self._not_before = 0.0

    def answers(
        self, texts: Sequence[str], encoding: str, labels: int, shares: Mapping[str, float]
    ) -> list[str] | None:
        """
        Label texts, after fitting again if that is due.

        Args:
            texts: Any.
            encoding: Of the release that is compared: with a new encoder it is fitted again.
            labels: How many were learned.
            shares: How common each class is in the stream.

        Returns:
            One label a text; None while fewer than two classes are in the replay buffer.
        """
        if self._due(labels, encoding):
            self._fit(shares)
            self._labels, self._encoding = labels, encoding
        if self._model is None or not texts:
            return None
        new = [text for text in dict.fromkeys(texts) if text not in self._said]
        if new:
            self._said |= zip(new, map(str, self._model.predict(new)), strict=True)
        self._said = {text: self._said[text] for text in texts}
        return list(map(self._said.__getitem__, texts))

    def _due(self, labels: int, encoding: str) -> bool:
        if self._model is None or encoding != self._encoding:
            return True
        return labels >= GROWTH * self._labels and time.monotonic() >= self._not_before

    def _fit(self, shares: Mapping[str, float]) -> None:
        started = time.monotonic()
        items = self._database.kept.items(held_out=False)
        self._said = {}
        self._model = fitted(items.texts, items.labels, shares)
        seconds = time.monotonic() - started
        self._not_before = time.monotonic() + PATIENCE * seconds
        _log.info("baseline fitted", listings=len(items.ids), seconds=round(seconds, 2))


def fitted(
    texts: Sequence[str], labels: Sequence[str], shares: Mapping[str, float]
) -> Pipeline | None:
    """
    Fit the baseline.

    Args:
        texts: What to learn.
        labels: One a text.
        shares: How common each class is in the stream; the buffer's rare ones weigh less, so that
            it is as good as it can be on the stream.

    Returns:
        It; None of fewer than two classes, or of texts without a word.
    """
    if len(set(labels)) < 2:
        return None
    model = make_pipeline(
        make_union(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True),
        ),
        LogisticRegression(solver="saga", tol=1e-3, max_iter=500, random_state=0),
    )
    try:
        model.fit(texts, labels, logisticregression__sample_weight=Truth.of(labels, shares).weights)
    except ValueError:  # an empty vocabulary
        return None
    return model
