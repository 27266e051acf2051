"""What is asked of the trainer that a stream can judge, and what came of it. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from bench.learning.markdown import plain, points, table
from bench.learning.results import (
    Figure,
    Result,
    Spread,
    accuracy,
    lost_by_noise,
    macro_f1,
    of,
    on,
    paired,
    recall_share,
)
from bench.learning.streams import (
    BURST_STREAM,
    CITIES_STREAM,
    DRIFT,
    DRIFT_STREAM,
    NOISE_STREAM,
    SHUFFLED_STREAM,
)

_WORDS = """Of roomstream, which is *mixture + slow path*. Accuracy, macro-F1 and forgetting are in
percentage points, differences taken seed by seed. A figure is the mean over seeds ± the standard
deviation (without ± it is of one seed), and the verdict is of the mean. A class of which joint
fine-tuning finds nothing counts as a share of 1; a drift that is not seen counts as all labels after it.
"""


def _signed(spread: Spread) -> str:
    return points(spread, signed=True)


@dataclass(frozen=True)
class Aim:
    """
    A figure to reach, or several that all have to.

    Attributes:
        what: Is measured.
        aim: In words.
        reached: Whether a mean is good enough.
        found: The figures by name; one alone needs none.
        shown: Writes a figure.
    """

    what: str
    aim: str
    reached: Callable[[float], bool]
    found: Mapping[str, Spread | None]
    shown: Callable[[Spread], str] = _signed

    @property
    def known(self) -> dict[str, Spread]:
        """What was measured."""
        return {name: spread for name, spread in self.found.items() if spread}

    @property
    def verdict(self) -> str:
        """Whether it was reached, and by what not."""
        known = self.known
        missed = [name for name, each in known.items() if not self.reached(round(each.mean, 9))]
        if missed:
            return f"no: {', '.join(missed)}" if len(known) > 1 else "no"
        if not known:
            return "not measured"
        return "yes" if len(known) == len(self.found) else "not all measured"

    def row(self) -> list[str]:
        """Its row of the table."""
        figures = (f"{name} {self.shown(each)}".strip() for name, each in self.known.items())
        return [self.what, self.aim, "; ".join(figures), self.verdict]


def asked(results: Sequence[Result]) -> str:
    """The section of the page; nothing if none of it was measured."""
    aims = [*_cities(results), *_burst(results), *_drift(results), *_disorder(results)]
    if not any(aim.known for aim in aims):
        return ""
    rows = table(("", "asked", "measured", "reached"), (aim.row() for aim in aims))
    return f"## What was asked, and what came of it\n\n{_WORDS}\n{rows}"


def _cities(results: Sequence[Result]) -> list[Aim]:
    ours = of(results, CITIES_STREAM, "ours")

    def minus(other: str, figure: Figure) -> Spread | None:
        return paired(results, (CITIES_STREAM, "ours"), (CITIES_STREAM, other), figure)

    cities = list(ours[0].scores.by_part[-1]) if ours else []
    by_city = {city: minus("tfidf", on(city)) for city in cities}
    f1_by_city = {city: minus("tfidf", _macro_f1_in(city)) for city in cities}
    forgotten = Spread.of(each.scores.forgetting for each in ours)
    name, tfidf = CITIES_STREAM, "TF-IDF refitted on everything"
    return [
        Aim(
            f"{name}: accuracy minus joint fine-tuning", "-0.5 or more", _at_least(-0.005),
            {"": minus("joint", accuracy)},
        ),
        Aim(
            f"{name}: macro-F1 minus joint fine-tuning", "-1.0 or more", _at_least(-0.01),
            {"": minus("joint", macro_f1)},
        ),
        Aim(
            f"{name}: forgetting", "0.5 or less", lambda mean: mean <= 0.005,
            {"": forgotten}, points,
        ),
        Aim(f"{name}: accuracy minus {tfidf}", "above 0", _positive, {"": minus("tfidf", accuracy)}),
        Aim(f"{name}: macro-F1 minus {tfidf}", "above 0", _positive, {"": minus("tfidf", macro_f1)}),
        Aim("the same in each city: accuracy", "above 0", _positive, by_city),
        Aim("the same in each city: macro-F1", "above 0", _positive, f1_by_city),
    ]  # fmt: skip


def _burst(results: Sequence[Result]) -> list[Aim]:
    ours, joint = (BURST_STREAM, "ours"), (BURST_STREAM, "joint")
    labels = sorted({label for each in of(results, *ours) for label in each.scores.recall})
    return [
        Aim(
            f"{BURST_STREAM}: accuracy minus joint fine-tuning", "-1.0 or more", _at_least(-0.01),
            {"": paired(results, ours, joint, accuracy)},
        ),
        Aim(
            f"{BURST_STREAM}: recall of each class as a share of joint fine-tuning's",
            "0.90 or more", _at_least(0.9),
            {label: recall_share(results, BURST_STREAM, label) for label in labels},
            partial(plain, form=".2f"),
        ),
    ]  # fmt: skip


def _drift(results: Sequence[Result]) -> list[Aim]:
    old, new = DRIFT
    ours, after = (DRIFT_STREAM, "ours"), f"{DRIFT_STREAM}: new titles after 1,000 labels"
    runs = of(results, *ours)
    kept = {
        when: Spread.of(
            each.scores.by_part[phase][old] - each.scores.by_part[0][old] for each in runs
        )
        for when, phase in (("after 1,000 labels", 1), ("at the end", 2))
    }
    return [
        Aim(
            f"{DRIFT_STREAM}: labels until it is seen", "100 or fewer", lambda mean: mean <= 100,
            {"": Spread.of(_seen_after(each) for each in runs)}, partial(plain, form=".0f"),
        ),
        *(
            Aim(
                f"{after} minus a model trained on {what} alone", "-1.0 or more", _at_least(-0.01),
                {"": paired(results, ours, (DRIFT_STREAM, method), on(new, 1), on(new, 0))},
            )
            for method, what in (("alone-soon", "these"), ("alone", "all new ones, later ones too,"))
        ),
        Aim(
            f"{DRIFT_STREAM}: old titles minus before", "-1.0 or more", _at_least(-0.01), kept,
        ),
    ]  # fmt: skip


def _disorder(results: Sequence[Result]) -> list[Aim]:
    calm = of(results, SHUFFLED_STREAM, "ours")
    rates = [10_000 * len(each.alarms) / each.scores.labels[-1] for each in calm]
    labels = sum(each.scores.labels[-1] for each in calm)
    noisy = of(results, NOISE_STREAM, "ours")
    phases = noisy[0].phases if noisy else []
    lost = zip(*lost_by_noise(results, "ours"), strict=True)
    return [
        Aim(
            f"{SHUFFLED_STREAM}: drift alarms in 10,000 labels (of {labels:,} seen)", "under 1",
            lambda mean: mean < 1, {"": Spread.of(rates)}, plain,
        ),
        Aim(
            f"{NOISE_STREAM}: accuracy minus that without noise, at the end of each phase",
            "-1.0 or more", _at_least(-0.01),
            {name: Spread.of(seeds) for name, seeds in zip(phases, lost, strict=False)},
        ),
    ]  # fmt: skip


def _macro_f1_in(domain: str) -> Figure:
    return lambda scores: scores.macro_f1_by_domain.get(domain)


def _seen_after(run: Result) -> int:
    """Labels between the drift and the first alarm after it; all that came if there was none."""
    began, end = run.scores.labels[0], run.scores.labels[-1]
    return min((alarm for alarm in run.alarms if alarm > began), default=end) - began


def _at_least(least: float) -> Callable[[float], bool]:
    return lambda mean: mean >= least


def _positive(mean: float) -> bool:
    return mean > 0
