"""N-gram learners: the same n-grams in numpy and ONNX, rows only for what was seen."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from artefacts.graphs import Head, padded
from trainer.learners.base import Examples
from trainer.learners.ngram import Ngram
from trainer.learners.ngrams import BUCKETS, bags_of

CLS, SEP = 101, 102
TEXTS = [[CLS, 7, 8, SEP], [CLS, 8, 7, 7, SEP], [CLS, SEP], [119_546]]
LABELS = ["Entire home/apt", "Private room", "Shared room", "Private room"]


def seen(texts: list[list[int]]) -> Examples:
    """Listings by their tokens: these learners look at nothing else."""
    return Examples(np.zeros((len(texts), 3), np.float32), texts)


def taught(texts: list[list[int]] = TEXTS, labels: list[str] = LABELS) -> Ngram:
    learner = Ngram()
    learner.learn(seen(texts), labels)
    return learner


def random_texts(seed: int, count: int) -> list[list[int]]:
    texts: list[list[int]] = np.random.default_rng(seed).integers(0, 120_000, (count, 12)).tolist()
    return texts


def test_ngrams_are_counted_as_often_as_they_occur() -> None:
    """A text of n tokens has 2 n - 1 of them, and the order of tokens matters."""
    bags = bags_of([[5, 6], [6, 5], [5, 5, 5], []])
    rows = bags.shares.toarray()

    np.testing.assert_allclose(rows.sum(axis=1), [3**0.5, 3**0.5, 5**0.5, 0])
    np.testing.assert_allclose(np.sort(rows[2])[-2:], [2 / 5**0.5, 3 / 5**0.5])
    assert (rows[0] != rows[1]).any()


tokens = st.lists(st.integers(0, 2**31 - 1) | st.sampled_from([7, 8, CLS, SEP]), min_size=1)


@given(st.lists(tokens, min_size=1, max_size=5), st.integers(0, 9), st.integers(0, 2**31 - 1))
def test_the_graph_hashes_as_the_learner_does(texts: list[list[int]], more: int, pad: int) -> None:
    """Whatever the tokens, how long the padding and which token it is."""
    learner = taught([*TEXTS, *texts], [*LABELS, *("Hotel room" for _ in texts)])
    ids, mask = padded([*TEXTS, *texts], pad)
    ids = np.pad(ids, ((0, 0), (0, more)), constant_values=pad)
    mask = np.pad(mask, ((0, 0), (0, more)))
    logits, _ = Head(learner.head())(np.zeros((len(ids), 3), np.float32), ids, mask)

    np.testing.assert_allclose(logits, learner.logits(seen([*TEXTS, *texts])), rtol=1e-4, atol=1e-4)


def test_a_text_without_a_token_scores_the_bias() -> None:
    """Padding alone is no n-gram, and no division by zero."""
    learner = taught()
    ids, mask = np.zeros((1, 4), np.int64), np.zeros((1, 4), np.int64)
    logits, _ = Head(learner.head())(np.zeros((1, 3), np.float32), ids, mask)

    np.testing.assert_allclose(logits, learner.logits(seen([[]])), rtol=1e-5)


def test_a_mini_batch_changes_the_parts_of_its_ngrams() -> None:
    """A part for each, and one for the rest; of a class that is added, the rest alone."""
    learner = taught(random_texts(1, 200), ["Entire home/apt", "Private room"] * 100)
    learner.changes()
    learner.learn(seen([[CLS, 7, 8, SEP]]), ["Private room"])
    after_learning = learner.changes()
    learner.add_class("Hotel room")

    assert len(after_learning) == 7 + 1
    assert sum(map(len, after_learning.values())) < 7 * 30 + 200
    assert set(learner.changes()) == {"ngram"}


def test_there_are_no_more_rows_than_buckets() -> None:
    """However many n-grams come, state and head stop growing."""
    learner = Ngram()
    sizes = []
    for seed in range(3):
        texts = random_texts(seed, 30_000)
        learner.learn(seen(texts), ["Entire home/apt", "Private room"] * 15_000)
        sizes.append((len(learner.state()), len(learner.head())))

    assert sizes[2] == sizes[1]
    assert sizes[2][0] == BUCKETS + 1


def test_few_ngrams_make_a_small_head() -> None:
    """Only the rows of n-grams that were seen are in it."""
    few, many = taught(), taught(random_texts(1, 4_000), ["a", "b"] * 2_000)

    assert len(few.head()) < 4 * BUCKETS + 4_000
    assert len(many.head()) > len(few.head()) + 4 * len(many.state())


def test_the_prior_follows_the_stream_and_not_the_replay_buffer() -> None:
    """After a refit on a balanced buffer the rare class is as rare as in the stream."""
    learner = taught([[7], [7], [8], [8]], ["a", "a", "b", "b"])
    even = learner.logits(seen([[7]]))[0]
    learner.expect({"a": 30, "b": 10})
    skewed = learner.logits(seen([[7]]))[0]

    assert learner.prior() == [0.75, 0.25]
    np.testing.assert_allclose((skewed[0] - skewed[1]) - (even[0] - even[1]), np.log(3))


def test_saying_the_prior_twice_changes_nothing() -> None:
    """The correction is from what was expected before, not once more from the beginning."""
    learner = taught()
    counts = {"Entire home/apt": 50, "Private room": 20, "Shared room": 1}
    learner.expect(counts)
    once = learner.logits(seen(TEXTS))
    learner.expect(counts)

    np.testing.assert_allclose(once, learner.logits(seen(TEXTS)))


def test_a_rejected_class_becomes_less_probable_and_no_rarer() -> None:
    """The step is along -log(1 - p): the others share what it loses, and counts stay."""
    learner = taught(random_texts(2, 60), ["a", "b", "c"] * 20)
    examples = seen(random_texts(2, 60)[:1])
    prior, lately = learner.prior(), learner.lately()
    before = softmax(learner.logits(examples))[0]

    assert learner.reject(examples, ["a"])
    after = softmax(learner.logits(examples))[0]
    assert after[0] < before[0]
    assert (after[1:] > before[1:]).all()
    assert prior == learner.prior()
    np.testing.assert_array_equal(lately, learner.lately())
    assert learner.changes()


def test_the_only_class_can_be_rejected() -> None:
    """Nothing is divided by 0 where no other class is probable at all."""
    learner = taught([[7]], ["a"])
    learner.add_class("b")

    assert learner.reject(seen([[7], [8]]), ["a", "a"])
    assert np.isfinite(learner.logits(seen([[7], [8]]))).all()


def test_a_step_is_as_long_as_its_weight() -> None:
    """An example of weight 2 is one that came twice in a mini-batch, in weights and counts."""
    twice, heavy = Ngram(), Ngram()
    twice.learn(seen([TEXTS[0], TEXTS[0], TEXTS[1]]), ["a", "a", "b"])
    heavy.learn(seen([TEXTS[0], TEXTS[1]]), ["a", "b"], np.array([2.0, 1.0]))

    assert twice.prior() == heavy.prior()
    np.testing.assert_allclose(twice.logits(seen(TEXTS)), heavy.logits(seen(TEXTS)), rtol=1e-5)
