"""Fuzzy ARTMAP."""

import numpy as np

from trainer.heads import Graph
from trainer.learners.fuzzy import closeness, closeness_graph, complemented, meeting
from trainer.learners.net import Net, Row, Rows
from trainer.learners.prototypes import Prototypes

TRACKING = 1e-4
"""How far match tracking lifts vigilance beyond the match of the category that was wrong."""


class FuzzyArtmap(Prototypes):
    """
    Fuzzy ARTMAP: boxes of one class each, that grow as long as they stay small and right.

    Carpenter, Grossberg, Markuzon, Reynolds & Rosen 1992, "Fuzzy ARTMAP: A Neural Network Architecture
    for Incremental Supervised Learning of Analog Multidimensional Maps". A listing is complement coded
    and chooses the category that it fits best. If it matches at least as vigilance demands and the map
    field agrees with its label, the category learns it; if only the label is wrong, match tracking raises
    vigilance for this listing, and the search goes on; where nothing is left, it becomes a category.

    The map field begins at 1 for every class and is the running mean of the labels, so it tells how
    probable classes are. The paper reads the one category that is chosen; here the nearest are mixed
    (`readout`), by their distance: all boxes around a listing are chosen nearly alike.

    Measured on MiniLM features of New York titles (accuracy after 500, 2,000 and 6,000 labels, on 3,000
    titles that no default was chosen by; the 20 nearest of all titles themselves: .75, .78, .78): .727,
    .766, .763. Of the shared rooms, 3%, one in a hundred is found. One pass, mean of 10 splits (defaults
    were chosen by these data too): iris .90, digits .95, wine .96; vigilance .94 gives iris .93 and
    digits .96 with half as many categories more. A label costs 0.2 ms, a prediction of the head 50 µs:
    nodes × 2 axes minima, 32,000 at the defaults.

    Args:
        nodes: How many categories it keeps, at most; see `Prototypes` for what goes beyond them.
        vigilance: The least match, 0 to 1: a category's sides sum to (1 - vigilance) × axes at most.
        choice: The choice parameter, in units of the norm of a listing.
        rate: How far a category moves towards what it shares with a listing of weight 1; 1 is fast
            learning. A new one always is the listing itself.
        agreement: The vigilance of the map field; above 0.5 no category ever accepts a second class.

    Example:
        >>> from trainer.learners.base import Examples
        >>> learner = FuzzyArtmap()
        >>> listings = Examples(np.eye(2, dtype=np.float32), [[101, 102], [101, 102]])
        >>> learner.learn(listings, ["Private room", "Shared room"])
        >>> learner.logits(listings).argmax(axis=1).tolist()
        [0, 1]
    """

    name = "artmap"
    parameters = (
        "nodes",
        "vigilance",
        "choice",
        "rate",
        "agreement",
    )

    def __init__(
        self,
        nodes: int = 500,
        vigilance: float = 0.92,
        choice: float = 0.001,
        rate: float = 0.3,
        agreement: float = 1.0,
    ) -> None:
        super().__init__(nodes)
        self.vigilance = vigilance
        self.choice = choice
        self.rate = rate
        self.agreement = agreement

    def _width(self, axes: int) -> int:
        return 2 * axes

    def _see(self, row: Row, place: int, weight: float) -> None:
        net, coded = self._nets[0], complemented(row[None])[0]
        node = self._resonant(net, coded, place)
        if node is None:
            node = net.add(coded)
        else:
            template = net.templates[node]
            step = np.float32(min(1.0, self.rate * weight))
            net.templates[node] += step * (np.minimum(template, coded) - template)
        net.labels[node, place] += weight
        net.trim(self.nodes)

    def _resonant(self, net: Net, coded: Row, place: int) -> int | None:
        """The category of greatest choice that matches and agrees; one that disagrees lifts vigilance."""
        met = meeting(net.templates, coded)
        match = met / (len(coded) / 2)
        choice = met / (self.choice * len(coded) / 2 + net.templates.sum(axis=1))
        vigilance = self.vigilance
        while (matching := np.flatnonzero(match >= vigilance)).size:
            best = int(matching[choice[matching].argmax()])
            learned = net.labels[best]
            if (1 + learned[place]) / (1 + learned.sum()) >= self.agreement:
                return best
            vigilance = match[best] + TRACKING
        return None

    def _closeness(self, net: Net, rows: Rows) -> Rows:
        return closeness(net.templates, rows)

    def _closeness_graph(self, net: Net, rows: str, to: str) -> Graph:
        return closeness_graph(rows, net.templates, to)
