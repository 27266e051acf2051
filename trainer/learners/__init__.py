"""The learners, by the name that `TRAINER_LEARNER` chooses."""

from trainer.learners.base import Learner
from trainer.learners.slda import StreamingLda

LEARNERS: dict[str, type[Learner]] = {StreamingLda.name: StreamingLda}
