"""Asks a release and its parent about the same listings, to find what is answered otherwise."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from artefacts.classifier import Classifier, Prediction
from artefacts.errors import InferenceError
from artefacts.manifest import TOKENIZER
from roomstream.explaining.examples import Example, Examples, Origin, Turn
from roomstream.generated_listings import generated_messages

GENERATED = 1_000
_CHUNK = 64
_LONGEST = 160


@dataclass(frozen=True)
class Known:
    """A listing whose label is known."""

    text: str
    truth: str
    origin: Origin


Answered = tuple[Known, Prediction, Prediction]
"""A listing, what the parent says of it, and what the release says."""


def changed_answers(
    release: Classifier,
    parent: Classifier,
    listings: Iterable[Known],
    source: str,
    most: int,
) -> Examples:
    """
    Find listings that a release answers otherwise than its parent.

    Args:
        release: The release.
        parent: The one before it.
        listings: Those that break one of the two are left out.
        source: What they are, in words.
        most: How many to show.
    """
    answered = 0
    turns: dict[Turn, list[Example]] = {"became wrong": [], "became right": [], "changed": []}
    for listing, before, now in _answers(release, parent, listings):
        answered += 1
        if before.label != now.label:
            example = _example(listing, before, now)
            turns[example.turn].append(example)
    shown = _alternating([_varied(examples) for examples in turns.values()])
    return Examples(
        source=source,
        answered=answered,
        turns={turn: len(examples) for turn, examples in turns.items()},
        shown=shown[:most],
    )


def made_up_listings() -> list[Known]:
    """Listings that the project makes up itself, in English, Spanish and Catalan; always the same."""
    listings = (message.listing for message in generated_messages(GENERATED))
    return [
        Known(listing.text, listing.label, "made up")
        for listing in listings
        if listing is not None and listing.label is not None
    ]


def _answers(
    release: Classifier, parent: Classifier, listings: Iterable[Known]
) -> Iterator[Answered]:
    rest = iter(listings)
    while chunk := list(itertools.islice(rest, _CHUNK)):
        try:
            yield from _ask(release, parent, chunk)
        except InferenceError:
            yield from itertools.chain.from_iterable(
                _ask_alone(release, parent, listing) for listing in chunk
            )


def _ask_alone(release: Classifier, parent: Classifier, listing: Known) -> list[Answered]:
    try:
        return _ask(release, parent, [listing])
    except InferenceError:
        return []


def _ask(release: Classifier, parent: Classifier, listings: Sequence[Known]) -> list[Answered]:
    """Ask both; an encoder that they share runs once."""
    texts = [listing.text for listing in listings]
    tokens = release.tokenise(texts)
    inference = release.infer(tokens)
    now = release.predictions(tokens, inference)
    if _encode_alike(release, parent):
        logits, probabilities = parent.head.of_tokens(inference.encoded.features, tokens)
        inference = replace(inference, logits=logits, probabilities=probabilities)
        before = parent.predictions(tokens, inference)
    else:
        before = parent.predict(texts)
    return list(zip(listings, before, now, strict=True))


def _encode_alike(release: Classifier, parent: Classifier) -> bool:
    ours, theirs = release.manifest, parent.manifest
    return (
        release.encoder is parent.encoder
        and ours.blobs[TOKENIZER].digest == theirs.blobs[TOKENIZER].digest
        and ours.max_length == theirs.max_length
    )


def _varied(examples: Sequence[Example]) -> list[Example]:
    """One of every pair of answers in turn, the most frequent pair and the most confident first."""
    pairs: dict[tuple[str, str], list[Example]] = defaultdict(list)
    for example in sorted(examples, key=lambda each: -each.confidence):
        pairs[example.before, example.now].append(example)
    return _alternating(sorted(pairs.values(), key=len, reverse=True))


def _alternating(lists: Sequence[Sequence[Example]]) -> list[Example]:
    rows = itertools.zip_longest(*lists)
    return [each for row in rows for each in row if each is not None]


def _example(listing: Known, before: Prediction, now: Prediction) -> Example:
    return Example(
        text=_readable(listing.text),
        before=before.label,
        confidence_before=before.confidence,
        now=now.label,
        confidence=now.confidence,
        truth=listing.truth,
        turn=_turn(before.label, now.label, listing.truth),
        origin=listing.origin,
    )


def _turn(before: str, now: str, truth: str) -> Turn:
    if now == truth:
        return "became right"
    return "became wrong" if before == truth else "changed"


def _readable(text: str) -> str:
    """A text that can do nothing to a terminal: a host may write control characters into a title."""
    line = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
