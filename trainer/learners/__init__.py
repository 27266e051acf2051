"""The learners, by the name that `TRAINER_LEARNER` chooses: those of `trainer.learner_names`."""

from trainer.learners.base import Learner
from trainer.learners.mixture import Mixture
from trainer.learners.ncm import NearestMean
from trainer.learners.ngram import Ngram, NgramReplay
from trainer.learners.slda import StreamingLda

LEARNERS: dict[str, type[Learner]] = {
    learner.name: learner for learner in (Mixture, Ngram, NgramReplay, StreamingLda, NearestMean)
}
