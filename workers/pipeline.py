"""
Records to outcomes: decode, tokenise, infer, decide. Pure: no Kafka and no clock inside.

Every record becomes exactly one outcome: a classification, a dead letter or a skip. One poisoned text
never takes its window with it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from artefacts.classifier import Classifier, Inference, Prediction
from artefacts.errors import InferenceError
from artefacts.tokenisation import Tokens
from runtime.dead_letters import dead_letter, disposition
from runtime.records import Outbound, Record, forwarded
from schemas.codec import Rejected, decode, encode, listing_text
from schemas.events import (
    Classification,
    Event,
    InputPosition,
    ListingEvent,
    ReviewRequest,
)
from schemas.topics import Topic
from workers.exploration import Shown, shown
from workers.outcomes import Outcome, Window
from workers.review import Ask, Review
from workers.trials import Challenger, Trial

_SAMPLED = 16
"""Of so many listings of a window, features are looked at for drift: a share under load, else all."""


@dataclass(frozen=True, eq=False)
class _Item:
    """A record that could be read, and where it stands."""

    record: Record
    event: ListingEvent
    position: InputPosition


class Pipeline:
    """
    Turns windows of records into outcomes.

    Args:
        prefix: What the names of topics begin with.
        review: Chooses the answers that people are asked about.
        explore: The probability with which another label than the best is shown.
    """

    def __init__(self, prefix: str, review: Review, explore: float = 0.0) -> None:
        self._prefix = prefix
        self._review = review
        self._explore = explore

    def run(
        self,
        records: Sequence[Record],
        classifier: Classifier,
        at: datetime,
        challengers: Sequence[Challenger] = (),
    ) -> Window:
        """
        Answer a window with one release, and what is a canary's with that.

        Whatever a challenger does, every record has the outcome that it has without: what a canary
        cannot answer, the live release does.

        Args:
            records: Any bytes; tombstones are passed over.
            classifier: The release that is live.
            at: The time that the answers carry.
            challengers: Releases that answer a share of the listings, in its place or beside it.

        Returns:
            One outcome a record, in order.
        """
        window = Window(classifier.manifest.release)
        started = time.perf_counter()
        decoded = [self._decode(record) for record in records]
        window.stage_seconds["decode"] = time.perf_counter() - started
        items = [item for item in decoded if isinstance(item, _Item)]
        answers = iter(self._answer_all(items, classifier, challengers, at, window))
        window.outcomes = [next(answers) if isinstance(item, _Item) else item for item in decoded]
        window.review_entropy = self._review.threshold
        return window

    def _decode(self, record: Record) -> _Item | Outcome:
        if record.value is None:
            return Outcome(record, "skipped")
        event = decode(Topic.LISTINGS, record.value, record.headers)
        if isinstance(event, Rejected):
            return self._dead(
                record, "decode", event.error, f"{event.where}: {event.message}", None
            )
        assert isinstance(event, ListingEvent), "this is a bug: listings hold listing events"
        position = InputPosition(
            topic=record.topic, partition=record.partition, offset=record.offset
        )
        return _Item(record, event, position)

    def _answer_all(
        self,
        items: Sequence[_Item],
        classifier: Classifier,
        challengers: Sequence[Challenger],
        at: datetime,
        window: Window,
    ) -> list[Outcome]:
        answered: dict[_Item, Outcome] = {}
        canaries = [each for each in challengers if each.channel == "canary"]
        for canary in canaries:
            answered |= self._tried(_share(canary, items), canary, at, window)
        rest = [item for item in items if item not in answered]
        started = time.perf_counter()
        answered |= zip(rest, self._answer(rest, classifier, at, window), strict=True)
        window.live = Trial(len(rest), time.perf_counter() - started)
        for canary in canaries:
            if any(answered[item].kind == "dead" for item in _share(canary, items)):
                window.trials[canary].forgive()
        for shadow in challengers:
            if shadow.channel == "shadow":
                self._add_shadow(items, answered, shadow, at, window)
        return [answered[item] for item in items]

    def _tried(
        self, items: Sequence[_Item], challenger: Challenger, at: datetime, window: Window
    ) -> dict[_Item, Outcome]:
        """What a challenger answers, to all of its share or to nothing: a failure is its own."""
        if not items:
            return {}
        started = time.perf_counter()
        trial = window.trials[challenger] = Trial()
        classifier, aside = challenger.classifier, Window()
        try:
            tokens, inference = self._infer(items, classifier, aside)
            predictions = classifier.predictions(tokens, inference)
            if challenger.channel == "shadow":
                outcomes = [
                    self._classified(item, prediction, Shown(prediction.label), classifier, at)
                    for item, prediction in zip(items, predictions, strict=True)
                ]
            else:
                outcomes = self._outcomes(items, predictions, inference, classifier, at)
        except Exception as error:  # noqa: BLE001 - whatever it is, the live release answers
            trial.failed, trial.fault = len(items), repr(error)
            return {}
        trial.listings, trial.seconds = len(items), time.perf_counter() - started
        seconds = window.stage_seconds
        seconds["challenger"] = seconds.get("challenger", 0) + trial.seconds
        window.encoded += aside.encoded
        return dict(zip(items, outcomes, strict=True))

    def _add_shadow(
        self,
        items: Sequence[_Item],
        answered: dict[_Item, Outcome],
        shadow: Challenger,
        at: datetime,
        window: Window,
    ) -> None:
        """Send beside the answers what a shadow says; only what could be answered is shown to it."""
        ours = [item for item in _share(shadow, items) if answered[item].kind == "classified"]
        for item, theirs in self._tried(ours, shadow, at, window).items():
            outcome = answered[item]
            window.trials[shadow].differing += theirs.label != outcome.label
            answer = theirs.messages[0]._replace(topic=Topic.SHADOW.named(self._prefix))
            answered[item] = replace(outcome, messages=(*outcome.messages, answer))

    def _answer(
        self, items: Sequence[_Item], classifier: Classifier, at: datetime, window: Window
    ) -> list[Outcome]:
        if not items:
            return []
        try:
            tokens, inference = self._infer(items, classifier, window)
        except InferenceError as error:
            if len(items) == 1:
                release = classifier.manifest.release
                return [self._dead(items[0].record, "infer", "inference", str(error), release)]
            middle = len(items) // 2
            return [
                *self._answer(items[:middle], classifier, at, window),
                *self._answer(items[middle:], classifier, at, window),
            ]
        predictions = classifier.predictions(tokens, inference)
        return self._outcomes(items, predictions, inference, classifier, at)

    def _infer(
        self, items: Sequence[_Item], classifier: Classifier, window: Window
    ) -> tuple[list[Tokens], Inference]:
        started = time.perf_counter()
        texts = [listing_text(item.event.title, item.event.description) for item in items]
        tokens = classifier.tokenise(texts)
        tokenised = time.perf_counter()
        inference = classifier.infer(tokens)
        seconds = window.stage_seconds
        seconds["tokenise"] = seconds.get("tokenise", 0) + tokenised - started
        seconds["infer"] = seconds.get("infer", 0) + time.perf_counter() - tokenised
        window.encoded.append(inference.encoded)
        window.features.append(inference.encoded.features[:_SAMPLED])
        return tokens, inference

    def _outcomes(
        self,
        items: Sequence[_Item],
        predictions: Sequence[Prediction],
        inference: Inference,
        classifier: Classifier,
        at: datetime,
    ) -> list[Outcome]:
        """What is shown of each answer, and whether a person is asked about it."""
        below = classifier.manifest.review_below
        chances = self._review.chances(predictions, inference.probabilities, below)
        outcomes = []
        for item, prediction, chance in zip(items, predictions, chances, strict=True):
            show = shown(prediction, self._explore, item.position)
            ask = self._review.ask(item.position, chance)
            outcomes.append(self._classified(item, prediction, show, classifier, at, ask))
        return outcomes

    def _classified(
        self,
        item: _Item,
        prediction: Prediction,
        show: Shown,
        classifier: Classifier,
        at: datetime,
        ask: Ask | None = None,
    ) -> Outcome:
        manifest, confidence = classifier.manifest, prediction.scores[show.label]
        answer = Classification(
            event_id=item.event.event_id,
            listing_id=item.event.listing_id,
            label=show.label,
            scores=prediction.scores,
            confidence=confidence,
            needs_review=confidence < manifest.review_below,
            release=manifest.release,
            input=item.position,
            classified_at=at,
            propensity=show.propensity,
        )
        messages = [self._message(Topic.CLASSIFIED, answer, item)]
        if ask:
            request = ReviewRequest(
                event=item.event,
                label=prediction.label,
                scores=prediction.scores,
                reason=ask.reason,
                propensity=ask.propensity,
                release=manifest.release,
                input=item.position,
                requested_at=at,
            )
            messages.append(self._message(Topic.REVIEW, request, item))
        return Outcome(
            item.record,
            "classified",
            tuple(messages),
            ask.reason if ask else "",
            label=prediction.label,
            explored=show.label != prediction.label,
        )

    def _message(self, topic: Topic, event: Event, item: _Item) -> Outbound:
        value, header = encode(event)
        return Outbound(
            topic.named(self._prefix),
            item.event.listing_id.encode(),
            value,
            (*forwarded(item.record.headers), header),
        )

    def _dead(
        self, record: Record, stage: str, error: str, message: str, release: str | None
    ) -> Outcome:
        letter = dead_letter(
            Topic.DEAD.named(self._prefix),
            record,
            stage=stage,
            error=error,
            message=message,
            release=release,
        )
        return Outcome(record, "dead", (letter,), stage, disposition(error) == "systemic")


def _share(challenger: Challenger, items: Sequence[_Item]) -> list[_Item]:
    return [item for item in items if challenger.takes(item.event.listing_id)]
