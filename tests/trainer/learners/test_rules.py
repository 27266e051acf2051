"""VFDR finds rules that were planted."""

import numpy as np
import pytest

from trainer.learners.base import Examples
from trainer.learners.rules import Rules

WORDS = np.arange(10, 30)


def titles(seed: int, count: int) -> list[list[int]]:
    """Eight different words of twenty."""
    chance = np.random.default_rng(seed)
    return [chance.choice(WORDS, 8, replace=False).tolist() for _ in range(count)]


def taught(learner: Rules, texts: list[list[int]], labels: list[str]) -> None:
    for start in range(0, len(texts), 50):
        part = texts[start : start + 50]
        features = np.random.default_rng(start).normal(size=(len(part), 4)).astype(np.float32)
        learner.learn(Examples(features, part), labels[start : start + 50])


@pytest.mark.parametrize("both", [True, False], ids=["and", "or"])
def test_planted_rules_are_found(both: bool) -> None:
    """Two tokens decide together or either of them: rules name these and no others, and are right."""
    met = all if both else any
    texts, asked = titles(1, 2_000), titles(2, 500)
    says = [
        "Shared room" if met(word in text for word in (12, 17)) else "Private" for text in texts
    ]
    learner = Rules()
    taught(learner, texts, says)
    best = learner.logits(Examples(np.zeros((500, 4), np.float32), asked)).argmax(axis=1)
    expected = ["Shared room" if met(w in text for w in (12, 17)) else "Private" for text in asked]

    assert expected == [learner.classes[place] for place in best]
    assert named(learner.told()) == {"token 12", "token 17"}


def named(rules: list[str]) -> set[str]:
    """What rules ask for, whether they want it or forbid it."""
    conditions = [rule.split(":")[0].replace("not ", "") for rule in rules]
    return {each for condition in conditions for each in condition.split(" and ")} - {"otherwise"}


def test_where_nothing_tells_there_are_no_rules() -> None:
    """Chance alone makes none of 2,000 labels that follow nothing, of 24 flags."""
    chance = np.random.default_rng(3)
    learner = Rules(tokens=20, cuts=4, delta=1e-5)
    taught(learner, titles(1, 2_000), chance.choice(["a", "b"], 2_000).tolist())

    assert len(learner.told()) == 1


def test_the_list_is_bounded() -> None:
    """No more rules than there may be, and the default one."""
    learner = Rules(rules=3, delta=0.3)
    texts = titles(1, 2_000)
    taught(learner, texts, [str(max(text)) for text in texts])

    assert len(learner.told()) == 4
