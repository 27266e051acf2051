"""Tiny jobs: a random DistilBERT, and listings whose titles say what they are."""

from pathlib import Path

import numpy as np
import torch
from transformers import DistilBertModel

from tests.releases import ROOM_TYPES
from tests.trainer.distilberts import config, tokenizer
from tests.trainer.labels import labelled
from trainer.encoders import PooledEncoder, encoder_weights
from trainer.finetuning.job import Job, JobFolder, Listings
from trainer.finetuning.recipe import Training

torch.set_num_threads(1)  # two that spin on a busy machine are slower than one

COUNTS = [400, 100, 25, 100]


def tiny_encoder(seed: int = 0) -> PooledEncoder:
    """Two layers of 32 dimensions with random weights."""
    torch.manual_seed(seed)
    model = DistilBertModel(config())
    model.set_attn_implementation("eager")
    return PooledEncoder(model, "mean")


def tiny_listings(count: int = 120, held_out: int = 10) -> Listings:
    """Labelled listings, every fifth of which validates, and held-out ones."""
    events = [labelled(number) for number in range(count + held_out)]
    chance = np.random.default_rng(1)
    stored = chance.normal(0, 1, (len(events), len(ROOM_TYPES))).astype(np.float32)
    stored[::3, 3] = np.nan
    stored[::7] = np.nan
    labels = [ROOM_TYPES.index(event.label) for event in events[:count]] + [-1] * held_out
    return Listings(
        ids=[event.listing_id for event in events],
        seqs=list(range(1, len(events) + 1)),
        tokens=[tokenizer().encode(event.title).ids for event in events],
        labels=np.array(labels),
        stored=stored,
        validation=np.arange(len(events)) % 5 == 0,
    )


def tiny_training(steps: int = 30, seed: int = 3) -> Training:
    """A run that takes milliseconds a step."""
    return Training(tiny_encoder(), tiny_listings(), COUNTS, steps, seed)


def tiny_job(folder: Path, steps: int = 60) -> JobFolder:
    """A job as the trainer writes it."""
    made = JobFolder(folder)
    job = Job(name="j", why="a test", counts=COUNTS, steps=steps, seed=3, threads=1)
    made.begin(job, tiny_listings(), encoder_weights(tiny_encoder()))
    return made
