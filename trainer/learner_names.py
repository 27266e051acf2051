"""What the learners are, for whoever only wants to name one: nothing of them is imported."""

from collections.abc import Mapping
from typing import Literal

LearnerName = Literal[
    "mixture",
    "ngram",
    "ngram-replay",
    "slda",
    "ncm",
]

LEARNER_NAMES: Mapping[LearnerName, str] = {
    "mixture": "the weighted mean of ngram, ngram-replay and slda",
    "ngram": "softmax regression on token n-grams",
    "ngram-replay": "the same, which also rehearses the replay buffer",
    "slda": "streaming linear discriminant analysis",
    "ncm": "nearest class mean",
}
"""A few words on each, in the order in which they are listed."""
