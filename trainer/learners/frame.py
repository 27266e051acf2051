"""The frame of coordinates that first examples set: a bounded box on their principal axes."""

from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray
from onnx import helper

from trainer.heads import Graph
from trainer.learners.base import Features

Rows = NDArray[np.float32]

LARGEST = 1e6
"""A feature beyond this is taken for it, so that nothing overflows."""

SPAN = 3.0
"""The box reaches so many standard deviations of the widest axis to either side."""

_LEAST_DEVIATION = 1e-6


class Frame(msgspec.Struct):
    """
    A frozen map of features into [0, 1].

    Features of an encoder vary little around a common direction, and in few directions. So they are
    turned to the principal axes of the first examples, of which the widest are kept, scaled alike, so
    that distances stay what they were, and clipped.

    Attributes:
        axes: float32 (dim, axes), scaled.
        mean: Of the first examples, float32 (dim,): the middle of the box.
        deviation: The standard deviation of the first examples in the frame: the root of their mean
            squared distance to their mean.
    """

    axes: Rows
    mean: Rows
    deviation: float = 0.0

    @classmethod
    def around(cls, features: Features, most: int) -> Self:
        """
        Set the frame.

        Args:
            features: The first examples, float32 (examples, dim).
            most: How many axes are kept.
        """
        rows = np.clip(features, -LARGEST, LARGEST).astype(np.float64)
        mean = rows.mean(axis=0)
        spread, axes = np.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))
        axes = axes[:, ::-1][:, :most]
        deviation = max(np.sqrt(max(spread[-1], 0)), _LEAST_DEVIATION)
        axes /= 2 * SPAN * deviation
        frame = cls(axes.astype(np.float32), mean.astype(np.float32))
        frame.deviation = float(np.sqrt(frame(features).astype(np.float64).var(axis=0).sum()))
        return frame

    def __call__(self, features: Features) -> Rows:
        """Map features, float32 (examples, dim): float32 (examples, axes)."""
        bounded = np.clip(features, -LARGEST, LARGEST).astype(np.float32)
        turned = (bounded - self.mean) @ self.axes + np.float32(0.5)
        framed: Rows = np.clip(turned, 0, 1).astype(np.float32)
        return framed

    def back(self, rows: Rows) -> Features:
        """Where rows (rows, axes) of the frame are among features, float32 (rows, dim)."""
        features: Features = ((rows - 0.5) @ np.linalg.pinv(self.axes) + self.mean).astype(
            np.float32
        )
        return features

    def graph(self, to: str) -> Graph:
        """Make the nodes that map `features`."""
        nodes = [
            helper.make_node("Clip", ["features", f"{to} least", f"{to} most"], [f"{to} bounded"]),
            helper.make_node("Sub", [f"{to} bounded", f"{to} mean"], [f"{to} centred"]),
            helper.make_node(
                "Gemm", [f"{to} centred", f"{to} axes", f"{to} half"], [f"{to} turned"]
            ),
            helper.make_node("Clip", [f"{to} turned", f"{to} zero", f"{to} one"], [to]),
        ]
        numbers = {"least": -LARGEST, "most": LARGEST, "half": 0.5, "zero": 0.0, "one": 1.0}
        constants = {f"{to} {name}": np.array(each, np.float32) for name, each in numbers.items()}
        return Graph(nodes, {**constants, f"{to} axes": self.axes, f"{to} mean": self.mean})
