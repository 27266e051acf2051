"""What a transfer minimises, and how long and how fast it learns."""

from dataclasses import dataclass

from schemas.errors import ConfigurationError


@dataclass(frozen=True)
class Shares:
    """
    What the loss is made of. Only the ratio of the three counts.

    Sanh et al. 2019, "DistilBERT": 5 to 2 to 1 are theirs, with masked words in the place of labels.

    Attributes:
        soft: Of the teacher's answers, softened by the temperature.
        labels: Of the labels.
        cosine: Of the angle between the hidden states of student and teacher.
        temperature: The higher it is, the more the teacher's less probable classes count.
    """

    soft: float = 5.0
    labels: float = 2.0
    cosine: float = 1.0
    temperature: float = 2.0

    def __post_init__(self) -> None:
        if min(self.soft, self.labels, self.cosine) < 0 or self.temperature <= 0:
            raise ConfigurationError(
                "Shares of the loss are 0 or more, and the temperature is above 0."
            )
        if self.soft + self.labels == 0:
            raise ConfigurationError(
                "Neither soft targets nor labels have a share of the loss: the head would learn nothing. "
                "Give --soft or --labels a number above 0."
            )

    @property
    def normalised(self) -> tuple[float, float, float]:
        """The three as parts of 1."""
        total = self.soft + self.labels + self.cosine
        return self.soft / total, self.labels / total, self.cosine / total


LABELS_ALONE = Shares(soft=0, labels=1, cosine=0)


@dataclass(frozen=True)
class Pace:
    """
    How long and how fast it learns.

    Attributes:
        epochs: How often each listing is drawn, on average, at most.
        rate: The highest learning rate of the encoder.
        patience: It stops after so many evaluations in turn without a lower validation loss.
        seed: Of the head's first weights, the draws and dropout.
    """

    epochs: float = 3.0
    rate: float = 1e-4
    patience: int = 3
    seed: int = 0
