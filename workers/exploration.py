"""Now and then another label than the best is shown: feedback then tells what it is worth. Pure."""

from typing import NamedTuple

from artefacts.classifier import Prediction
from schemas.events import InputPosition
from workers.draws import draw


class Shown(NamedTuple):
    """
    What an answer shows.

    Attributes:
        label: Of the release.
        propensity: The chance with which this label was shown; None: nothing else could be.
    """

    label: str
    propensity: float | None = None


def shown(prediction: Prediction, epsilon: float, position: InputPosition) -> Shown:
    """
    Choose the label to show, epsilon-greedy (Bietti, Agarwal & Langford 2021).

    With probability epsilon it is another one than the best, each of the others alike. Drawn by their
    scores they would annoy people less, but what the release rules out would be shown next to never:
    one verdict on it would then outweigh all others (weights are 1 / propensity). So none of them is
    above (classes - 1) / epsilon.

    Args:
        prediction: What the release says.
        epsilon: In [0, 1); 0 shows the best label always.
        position: Of the input, which the choice depends on.
    """
    others = len(prediction.scores) - 1
    if not epsilon or not others:
        return Shown(prediction.label)
    drawn = draw(position, b"explore")
    if drawn >= epsilon:
        return Shown(prediction.label, 1 - epsilon)
    labels = [label for label in prediction.scores if label != prediction.label]
    return Shown(labels[int(drawn / epsilon * others)], epsilon / others)
