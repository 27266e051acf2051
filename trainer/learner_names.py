"""What the learners are, for whoever only wants to name one: nothing of them is imported."""

from collections.abc import Mapping
from typing import Literal

LearnerName = Literal[
    "mixture",
    "log-mixture",
    "ngram",
    "ngram-replay",
    "slda",
    "ridge",
    "svm",
    "rbf",
    "ncm",
    "knn",
    "rules",
    "id4",
    "id5r",
    "gaenari",
    "hoeffding",
    "artmap",
    "topoart",
    "igng",
]

LEARNER_NAMES: Mapping[LearnerName, str] = {
    "mixture": "weighted mean of ngram, ngram-replay and slda",
    "log-mixture": "the same, of log probabilities",
    "ngram": "softmax regression on token n-grams",
    "ngram-replay": "the same, which also rehearses the replay buffer",
    "slda": "streaming linear discriminant analysis",
    "ridge": "recursive least squares",
    "svm": "linear support vector machines",
    "rbf": "slda on random Fourier features, a kernel",
    "ncm": "nearest class mean",
    "knn": "nearest neighbours among kept examples",
    "rules": "ordered rules on tokens (VFDR)",
    "id4": "tree on tokens that drops what it doubts (ID4)",
    "id5r": "tree on tokens that ID3 makes of kept examples (ID5R)",
    "gaenari": "tree on tokens whose weak leaves grow anew",
    "hoeffding": "tree that splits once it is sure (VFDT)",
    "artmap": "prototypes as boxes (Fuzzy ARTMAP)",
    "topoart": "prototypes as linked boxes (TopoART)",
    "igng": "prototypes as a net that grows (neural gas)",
}
"""A few words on each, in the order in which they are listed."""
