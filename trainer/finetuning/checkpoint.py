"""The checkpoint from which a run goes on that was killed."""

from pathlib import Path

import torch

from artefacts.store import written_atomically
from trainer.finetuning.recipe import Training


def save_checkpoint(path: Path, training: Training) -> None:
    """Write where a run stands; whenever it is killed, there is a whole checkpoint or the one before."""
    with written_atomically(path) as file:
        torch.save(training.state(), file)


def load_checkpoint(path: Path, training: Training) -> None:
    """Go on where a run stood, if it has left a checkpoint."""
    if path.exists():
        training.resume(torch.load(path, weights_only=True))
