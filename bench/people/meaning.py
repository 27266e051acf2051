"""What the figures mean for whoever runs roomstream, in words. Pure."""

from collections.abc import Sequence

from bench.learning.markdown import points
from bench.learning.results import Spread
from bench.people.arms import (
    BEGINNING,
    BOTH_BUDGET,
    BUDGETS,
    EPSILONS,
    FIRST,
    asking,
    both,
    hearing,
)
from bench.people.findings import (
    TARGET_BUDGET,
    Measure,
    accuracy,
    cities,
    macro_f1,
    share_of_all,
    shown_right,
    spread,
)
from bench.people.passing import Result

_WORDS = """## What it means for whoever runs it

- **{target_budget:.0%} of the labels, chosen by uncertainty, give {chosen_share} of the accuracy of
  all of them; at random it is {random_share}.** Set WORKER_REVIEW_BUDGET to what your people can
  answer.
- {ahead}
- **Feedback is worth nearly as much as labels, where people give it on everything.** After
  {beginning} labels alone accuracy is {first}; with a yes or no on every answer after them it becomes
  {heard}, which is {heard_share} of what all labels give. These are thousands of verdicts, each of
  them cheaper than a label, and none of them wrong here: people who accept whatever they are shown
  teach the learner what it believes already. Releases are judged by labels only, so that some are
  needed all the time.
- **A few labels beside it are worth their price.** {both_budget:.0%} of labels chosen by uncertainty
  and feedback on the rest give a macro-F1 of {both_f1}; these labels alone give {half_f1}, feedback
  alone {heard_f1}: rare classes are seldom shown, so that hardly anybody accepts them.
- **Exploration costs what it says.** With an epsilon of {epsilon:g} {explored_right} of the answers
  on the way are right instead of {heard_right}, and the learner ends at {explored} instead of
  {heard}. It is off by default, and for whoever wants to estimate what another rule of showing labels
  would have earned.
- **Weights by propensity** make accepted labels stand for the stream on average, for more variance:
  with them it ends at {explored} (macro-F1 {explored_f1}), counting each accepted label once at
  {once} ({once_f1}). Leave out `propensity` in feedback to count each once.
"""


def meaning(results: Sequence[Result]) -> str:
    """The section of the page."""
    explored, once = hearing(EPSILONS[-1]).name, hearing(EPSILONS[-1], weighs=False).name
    heard = hearing(0.0).name
    return _WORDS.format(
        target_budget=TARGET_BUDGET,
        chosen_share=_of_all(results, asking("uncertain", TARGET_BUDGET).name),
        random_share=_of_all(results, asking("random", TARGET_BUDGET).name),
        ahead=_ahead(results),
        beginning=BEGINNING,
        first=_figure(results, FIRST, accuracy),
        heard=_figure(results, heard, accuracy),
        heard_share=_of_all(results, heard),
        heard_f1=_figure(results, heard, macro_f1),
        heard_right=_figure(results, heard, shown_right),
        both_budget=BOTH_BUDGET,
        both_f1=_figure(results, both(BOTH_BUDGET).name, macro_f1),
        half_f1=_figure(results, asking("uncertain", BOTH_BUDGET).name, macro_f1),
        epsilon=EPSILONS[-1],
        explored=_figure(results, explored, accuracy),
        explored_f1=_figure(results, explored, macro_f1),
        explored_right=_figure(results, explored, shown_right),
        once=_figure(results, once, accuracy),
        once_f1=_figure(results, once, macro_f1),
    )


def _ahead(results: Sequence[Result]) -> str:
    """Where a random choice was no worse, or not."""
    behind = [
        f"{budget:.0%} in {city}"
        for city in cities(results)
        for budget in BUDGETS
        if _mean(results, city, asking("random", budget).name)
        > _mean(results, city, asking("uncertain", budget).name)
    ]
    if not behind:
        return "**At every budget the uncertain listings teach more than random ones.**"
    return (
        f"**Uncertainty is not always the better choice: at {', '.join(behind)} random listings "
        "did no worse** (the tables say how much seeds differ). What a learner that knows little is "
        "unsure of is not yet what it needs; the uncertain ones have more of the rare classes, which "
        "macro-F1 shows."
    )


def _mean(results: Sequence[Result], city: str, arm: str) -> float:
    found = spread(results, city, arm, accuracy)
    return found.mean if found else 0.0


def _of_all(results: Sequence[Result], arm: str) -> str:
    return _by_city(
        results, [share_of_all(results, each, arm, accuracy) for each in cities(results)]
    )


def _figure(results: Sequence[Result], arm: str, measure: Measure) -> str:
    return _by_city(results, [spread(results, each, arm, measure) for each in cities(results)])


def _by_city(results: Sequence[Result], found: Sequence[Spread | None]) -> str:
    """A figure of each city, such as `97.7% (nyc) and 99.6% (madrid)`."""
    named = zip(cities(results), found, strict=True)
    return " and ".join(
        f"{points(Spread(each.mean, None))}% ({city})" for city, each in named if each
    )
