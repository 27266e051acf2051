"""The figures as a page: tables, how they were measured, and what they mean."""

from collections.abc import Mapping, Sequence

from bench.learning.markdown import plain, points, table
from bench.learning.results import Spread
from bench.people.arms import (
    ALL,
    BEGINNING,
    BOTH_BUDGET,
    BUDGETS,
    EPSILONS,
    FIRST,
    RANDOM_PART,
    asking,
    both,
    hearing,
)
from bench.people.findings import (
    TARGET,
    TARGET_BUDGET,
    accuracy,
    cities,
    labels,
    macro_f1,
    share_of_all,
    shown_right,
    spread,
)
from bench.people.meaning import meaning
from bench.people.passing import WINDOW, Result
from trainer.opinions import MOST_WEIGHT
from workers.review import RECENT

_INTRODUCTION = """# What people's labels and feedback are worth

Written by `make bench-people`; do not edit. Titles of real listings of Inside Airbnb (CC BY 4.0), title
to room type, from two cities: how good the trainer's learner becomes where people label only some of the
listings, chosen well or at random, and where they only say whether an answer is right.
"""

_HOW = """## How it was measured

A stream is {rows:,} listings of a city in the order in which they were published, drawn at random from
{pool:,} with each seed. They are answered {window} at a time by what was learned so far; then people
label those that were asked about, and the learner learns these labels in one mini-batch: as the trainer
does it, with its replay buffer, rehearsal and learning anew, beginning with nothing. The encoder is the
packaged MiniLM as it came, without fine-tuning. Accuracy and macro-F1 are those on {test:,} listings of
hosts that are in no stream, at the end of it.

*Chosen by uncertainty* is the rule of the workers (`workers/review.py`, WORKER_REVIEW_BUDGET): an answer
is asked about if its entropy is among the highest share of the last {recent:,}. {by_chance:.0%} of each
budget is asked about at random (WORKER_REVIEW_SHARE), which keeps a hold-out unbiased. The classes'
shares are corrected by the propensities of labels, as in every candidate of the trainer.

*Feedback* begins after {beginning} labels, as a first release does (TRAINER_FIRST_LABELS). From then on a
person accepts or rejects every answer. With an epsilon another label than the best is shown now and then
(WORKER_EXPLORE); what is accepted counts as 1 / propensity labels, {most_weight:g} at most.

What this leaves out: people err, and answer late or not at all; the trainer keeps a tenth of the labels
to judge by, and holds labels back that contradict what it is sure of; releases go live some seconds after
their labels. Figures are the mean over seeds ± the standard deviation, in percent.
"""


def page(
    results: Sequence[Result], about: Mapping[str, object], pictures: Mapping[str, str]
) -> str:
    """
    Write the page.

    Args:
        results: What was found.
        about: What it was measured on, and how: `rows`, `pool` and `test rows` among it.
        pictures: The address of each city's picture.
    """
    parts = [_INTRODUCTION, _target(results), meaning(results)]
    for city in cities(results):
        picture = f"![Accuracy by budget]({pictures[city]})\n" if city in pictures else ""
        parts += [f"## {city}\n", picture, _budgets(results, city), _feedback(results, city)]
    how = _HOW.format(
        rows=about["rows"],
        pool=about["pool"],
        test=about["test rows"],
        window=WINDOW,
        recent=RECENT,
        by_chance=RANDOM_PART,
        beginning=BEGINNING,
        most_weight=MOST_WEIGHT,
    )
    parts += [
        how,
        "Measured on: " + ", ".join(f"{key} {value}" for key, value in about.items()) + ".",
    ]
    return "\n".join(filter(None, parts)) + "\n"


def _target(results: Sequence[Result]) -> str:
    """Whether a fifth of the labels is nearly as good as all of them."""
    rows = []
    for city in cities(results):
        shares = {
            asks: share_of_all(results, city, asking(asks, TARGET_BUDGET).name, accuracy)
            for asks in ("uncertain", "random")
        }
        found = shares["uncertain"]
        reached = "not measured" if found is None else "yes" if found.mean >= TARGET else "no"
        rows.append([city, *(_percent(each) for each in shares.values()), reached])
    head = ("", "chosen by uncertainty", "at random", f"{TARGET:.0%} by uncertainty reached")
    return (
        f"## {TARGET_BUDGET:.0%} of the labels, as a share of the accuracy of all of them\n\n"
        f"{table(head, rows)}"
    )


def _budgets(results: Sequence[Result], city: str) -> str:
    rows = []
    for budget in BUDGETS:
        ours, others = (asking(asks, budget).name for asks in ("uncertain", "random"))
        rows.append(
            [
                f"{budget:.0%}",
                _count(spread(results, city, ours, labels)),
                points(spread(results, city, ours, accuracy)),
                points(spread(results, city, others, accuracy)),
                _percent(share_of_all(results, city, ours, accuracy)),
                _percent(share_of_all(results, city, others, accuracy)),
                points(spread(results, city, ours, macro_f1)),
                points(spread(results, city, others, macro_f1)),
            ]
        )
    whole = [spread(results, city, ALL, measure) for measure in (labels, accuracy, macro_f1)]
    rows.append(["all", _count(whole[0]), points(whole[1]), "", "100.0", "", points(whole[2]), ""])
    head = (
        "labels", "by uncertainty, so many", "accuracy by uncertainty", "at random",
        "of all labels' accuracy by uncertainty", "at random",
        "macro-F1 by uncertainty", "at random",
    )  # fmt: skip
    return table(head, rows)


def _feedback(results: Sequence[Result], city: str) -> str:
    arms = {
        f"the first {BEGINNING} labels, no feedback": FIRST,
        **{f"and feedback, epsilon {epsilon:g}": hearing(epsilon).name for epsilon in EPSILONS},
        f"epsilon {EPSILONS[-1]:g}, accepted labels count once": hearing(EPSILONS[-1], False).name,
        f"{BOTH_BUDGET:.0%} labels by uncertainty alone": asking("uncertain", BOTH_BUDGET).name,
        f"{BOTH_BUDGET:.0%} labels by uncertainty, and feedback": both(BOTH_BUDGET).name,
        "all labels": ALL,
    }
    rows = [
        [
            title,
            points(spread(results, city, arm, accuracy)),
            _percent(share_of_all(results, city, arm, accuracy)),
            points(spread(results, city, arm, macro_f1)),
            points(spread(results, city, arm, shown_right)),
        ]
        for title, arm in arms.items()
    ]
    head = ("people give", "accuracy", "of all labels' accuracy", "macro-F1", "right answers shown")
    return table(head, rows)


def _percent(share: Spread | None) -> str:
    return points(share)


def _count(share: Spread | None) -> str:
    return "" if share is None else plain(Spread(share.mean, None), form=",.0f")
