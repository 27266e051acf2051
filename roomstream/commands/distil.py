"""`roomstream distil`: a large classifier teaches a small one."""

from pathlib import Path
from typing import Annotated

import typer

from roomstream.commands.output import Json
from roomstream.commands.training import (
    DEFAULT,
    Epochs,
    MaxLength,
    Patience,
    Picture,
    Rate,
    Seed,
    tell_outcome,
    workshop,
)
from roomstream.options import with_settings
from runtime.settings import KafkaSettings, SharedSettings
from trainer.transfer.plan import Pace, Shares

_SHARES = Shares()


@with_settings(KafkaSettings, SharedSettings)
def distil(
    kafka: KafkaSettings,
    shared: SharedSettings,
    teacher: Annotated[
        Path,
        typer.Option(
            help="A folder that save_pretrained has written of any sequence classifier of transformers, "
            "such as a BERT large. Its labels are those of its config.json."
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(
            help="A CSV of labelled listings: title, label, and an id that stays the same."
        ),
    ],
    student: Annotated[
        str,
        typer.Option(
            help="layers: every other layer of a teacher that is a BERT or DistilBERT. Else as for "
            "'roomstream base import': minilm, a folder, a model of the Hugging Face hub; its tokenizer "
            "may be another one than the teacher's."
        ),
    ] = "layers",
    soft: Annotated[
        float, typer.Option(min=0, help="The share of the teacher's answers in the loss …")
    ] = _SHARES.soft,
    labels: Annotated[float, typer.Option(min=0, help="… of the labels …")] = _SHARES.labels,
    cosine: Annotated[
        float,
        typer.Option(
            min=0,
            help="… and of the angle between hidden states, where they are as wide. Only the ratio of "
            "the three counts.",
        ),
    ] = _SHARES.cosine,
    temperature: Annotated[
        float, typer.Option(min=0.1, help="Softens the answers of both.")
    ] = _SHARES.temperature,
    epochs: Epochs = DEFAULT.epochs,
    learning_rate: Rate = DEFAULT.rate,
    patience: Patience = DEFAULT.patience,
    max_length: MaxLength = None,
    seed: Seed = DEFAULT.seed,
    picture: Picture = None,
    as_json: Json = False,
) -> None:
    """
    Let a teacher teach a DistilBERT, and make it live if it passes the gates.

    A tenth of the file (TRAINER_HOLDOUT_SHARE) is never learned: by it the candidate is compared with the
    live release, with the bounds of the trainer (TRAINER_MAX_ACCURACY_LOSS and others). A candidate that
    is refused is not published; the exit code is 3.
    """
    shares = Shares(soft, labels, cosine, temperature)
    pace = Pace(epochs, learning_rate, patience, seed)
    with workshop(kafka, shared, data, pace, max_length, picture) as ours:
        outcome = ours.distil(teacher, student, shares)
    tell_outcome(outcome, picture, as_json)
