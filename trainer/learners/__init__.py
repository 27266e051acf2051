"""The learners, by the name that `TRAINER_LEARNER` chooses: those of `trainer.learner_names`."""

from trainer.learners.artmap import FuzzyArtmap
from trainer.learners.base import Learner
from trainer.learners.gaenari import Gaenari
from trainer.learners.hoeffding import HoeffdingTree
from trainer.learners.id4 import Id4
from trainer.learners.id5r import Id5r
from trainer.learners.igng import IncrementalGas
from trainer.learners.knn import NearestNeighbours
from trainer.learners.mixture import LogMixture, Mixture
from trainer.learners.ncm import NearestMean
from trainer.learners.ngram import Ngram, NgramReplay
from trainer.learners.rbf import FourierLda
from trainer.learners.ridge import Ridge
from trainer.learners.rules import Rules
from trainer.learners.slda import StreamingLda
from trainer.learners.svm import LinearSvm
from trainer.learners.topoart import TopoArt

_KINDS: tuple[type[Learner], ...] = (
    Mixture, LogMixture, Ngram, NgramReplay, StreamingLda, Ridge, LinearSvm, FourierLda, NearestMean,
    NearestNeighbours, Rules, Id4, Id5r, Gaenari, HoeffdingTree, FuzzyArtmap, TopoArt, IncrementalGas,
)  # fmt: skip

LEARNERS: dict[str, type[Learner]] = {kind.name: kind for kind in _KINDS}
