"""Learn a mini-batch: predict, then learn, then keep, all of it or nothing."""

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np
import structlog
from scipy.special import softmax

from artefacts.graphs import Floats
from runtime.records import Outbound, Record
from trainer.database import Database, encode_fact
from trainer.doubt import Belief
from trainer.doubts import Doubts
from trainer.drift import last_change
from trainer.heeding import Encode, Heard, Heeding
from trainer.holdout import is_held_out
from trainer.intake import Dead, Forget, Label, Notice, Opinion, Said, Skip, dead, read
from trainer.kept import Items
from trainer.learners import LEARNERS
from trainer.learners.base import Example, Examples, Learner, teach
from trainer.learners.mixture import Mixture
from trainer.live import LiveRelease
from trainer.metrics import TrainerMetrics
from trainer.relearning import Fitted, why_anew
from trainer.replay import Full, ReplayBuffer, Seen
from trainer.scoreboard import Scoreboard
from trainer.settings import TrainerSettings
from trainer.suspects import Suspect
from trainer.trial import Lesson, trial

_log = structlog.get_logger(__name__)

_NAME, _ENCODING, _SEEN, _FULL = "learner name", "encoding", "seen", "full"
_FITTED = "fitted"
_ENCODED_AT_ONCE = 256
_TELL_SECONDS = 10.0

_Fact = TypeVar("_Fact")
_Kind = TypeVar("_Kind", Label, Opinion)
Deliver = Callable[[Sequence[Outbound]], None]
Encoded = list[tuple[Label, Example]]
Observe = Callable[[Encoded, Sequence[str | None], str], None]


class Taken(NamedTuple):
    """A label that was taken in, and what became of it: learned, held_out or suspect."""

    outcome: str
    label: Label
    example: Example


class Learning:
    """
    The learner with everything that it remembers.

    Labels are learned, kept for replay or held out; opinions on labels that were shown are learned only.

    Args:
        database: Where it is kept.
        settings: How to learn.
        prefix: What the names of topics begin with.
        live: Its encoder makes the features.
        deliver: Sends dead letters, and returns once the broker has them.
        metrics: Where all is counted.
        observe: Sees labels (no opinions), what was predicted for each, and by which encoding their
            features are, before they are learned and within the transaction that keeps them.
        gets_on: Is called again and again during what takes long.

    Attributes:
        learner: What has learned.
        deletions: How many deletions were heeded since the start.
    """

    def __init__(
        self,
        database: Database,
        settings: TrainerSettings,
        prefix: str,
        live: LiveRelease,
        deliver: Deliver,
        metrics: TrainerMetrics,
        observe: Observe = lambda labelled, predicted, encoding: None,
        gets_on: Callable[[], None] = lambda: None,
    ) -> None:
        self._observe_labels = observe
        self._gets_on = gets_on
        self._database = database
        self._settings = settings
        self._prefix = prefix
        self._deliver = deliver
        self._metrics = metrics
        self._scoreboard = Scoreboard(database, metrics)
        self._replay = ReplayBuffer(
            settings.replay_size,
            database.kept.listings(),
            _decoded(database.fact(_SEEN), Seen),
            _decoded(database.fact(_FULL), Full),
        )
        self.deletions = 0
        self._classes = self._known_classes()
        self._fitted = _decoded(database.fact(_FITTED), Fitted) or Fitted()
        self.learner: Learner = LEARNERS[settings.learner]()
        self._doubts = Doubts(database, settings.suspect_confidence, metrics)
        self._heeding = Heeding(
            database, self._doubts, self._replay, self._is_held_out, metrics, gets_on
        )
        self._shrink_replay()
        self.follow(live)
        self._observe()

    def follow(self, live: LiveRelease) -> None:
        """
        Learn with the encoder of this release from now on.

        Where the encoder or the kind of learner changed, the kept listings are encoded again and the
        learner is fitted to the replay buffer, with the classes as common as in the stream.
        """
        self._live = live
        database = self._database
        state, name = database.learner_state(), (database.fact(_NAME) or b"").decode()
        same_encoding = (database.fact(_ENCODING) or b"").decode() == live.encoding
        with database.transaction():
            if state and same_encoding and name == self._settings.learner:
                self.learner = LEARNERS[name].from_state(state)
            elif state:
                self._refit(encode_again=not same_encoding)
            for label in live.manifest.labels:
                self.learner.add_class(label)
            self._keep_learner()

    def adopt(self, live: LiveRelease, learner: Learner, features: Mapping[str, Floats]) -> None:
        """
        Learn with a fine-tuned encoder from now on.

        Args:
            live: The release that has it.
            learner: Fitted to the replay buffer as this encoder sees it.
            features: What it makes of every kept listing.
        """
        self._live = live
        with self._database.transaction():
            for listing, row in features.items():
                self._database.kept.put_features(listing, row)
            self._replace(learner)
            self._keep_learner()

    def fitted(self, items: Items, encode: Encode) -> Learner:
        """
        A learner of the same kind fitted to the replay buffer, with classes as in the stream.

        Args:
            items: The replay buffer.
            encode: Makes the same features of texts: the last opinions are learned too.
        """
        learner: Learner = LEARNERS[self._settings.learner]()
        for label in self._live.manifest.labels:
            learner.add_class(label)
        _log.info("fitting the learner to the replay buffer", listings=len(items.ids))
        teach(learner, self._examples(items), items.labels)
        expected = self._database.known_to_be_learned()
        learner.expect(expected)
        self._heeding.heed_again(learner, encode, expected)
        return learner

    def step(self, records: Sequence[Record]) -> None:
        """
        Handle a mini-batch: dead letters first, then everything else in one transaction.

        Raises:
            TryAgain: Dead letters could not be delivered, or the disk is full. Nothing was learned.
        """
        with self._metrics.step_seconds.time():
            notices = [read(record, self._prefix) for record in records]
            said = [notice for notice in notices if isinstance(notice, Label | Opinion)]
            deletions = [notice for notice in notices if isinstance(notice, Forget)]
            fresh = self._fresh(said)
            valid = self._valid(fresh, deletions)
            admitted, refused = self._admitted([each for each in valid if isinstance(each, Label)])
            encoded, failed = self._encode(admitted)
            opinions, silent = self._encode([each for each in valid if isinstance(each, Opinion)])
            gone = [notice for notice in notices if isinstance(notice, Dead)]
            gone += [*refused, *failed, *silent]
            self._deliver([each.letter for each in gone])
            predicted = self._predict([example for _, example in encoded])
            believed = self._predict([example for _, example in opinions])
            with self._database.transaction():
                for deletion in deletions:
                    self._forget(deletion)
                if deletions:
                    self._classes = self._known_classes()
                guesses = [belief and belief.label for belief in predicted]
                self._observe_labels(encoded, guesses, self._live.encoding)
                outcomes = self._take_in(
                    notices,
                    _by_event(encoded, predicted),
                    _by_event(opinions, believed),
                )
                self._scoreboard.keep()
                self._keep_learner()
                self._doubts.remember()
                self._advance(records)
        self.deletions += len(deletions)
        self._metrics.events.labels("repeated").inc(len(said) - len(fresh))
        self._metrics.events.labels("forgotten").inc(len(fresh) - len(valid))
        self._count(encoded, gone, outcomes)

    def _fresh(self, said: Sequence[Said]) -> list[Said]:
        """Leave out events that were learned before, or that come twice in this batch."""
        known = self._database.known([each.event_id for each in said])
        fresh: dict[str, Said] = {}
        for each in said:
            if each.event_id not in known:
                fresh.setdefault(each.event_id, each)
        return list(fresh.values())

    def _valid(self, said: Sequence[Said], deletions: Sequence[Forget]) -> list[Said]:
        """Leave out what was said before the listing was deleted, as is known or comes now."""
        return [
            each
            for each in said
            if not self._database.tombstones.cover(each.listing_id, each.labelled_at)
            and not any(deletion.covers(each) for deletion in deletions)
        ]

    def _admitted(self, labels: Sequence[Label]) -> tuple[list[Label], list[Dead]]:
        """The labels that may be learned, and dead letters of the others."""
        admitted: list[Label] = []
        refused: list[Dead] = []
        for label in labels:
            fault = self._policy_fault(label.label, admitted)
            if fault:
                refused.append(dead(label.record, self._prefix, "label", *fault))
            else:
                admitted.append(label)
        return admitted, refused

    def _encode(self, said: Sequence[_Kind]) -> tuple[list[tuple[_Kind, Example]], list[Dead]]:
        """Features of what was said, and dead letters where there are none."""
        encoded: list[tuple[_Kind, Example]] = []
        failed: list[Dead] = []
        rows = self._live.encode([each.text for each in said]) if said else []
        for each, row in zip(said, rows, strict=True):
            if row is None:
                why = "The model's answer to this text is not a finite number."
                failed.append(dead(each.record, self._prefix, "encode", "inference", why))
            else:
                encoded.append((each, row))
        return encoded, failed

    def _policy_fault(self, label: str, admitted: Sequence[Label]) -> tuple[str, str] | None:
        known = {*self.learner.classes, *(other.label for other in admitted)}
        if label in known:
            return None
        if self._settings.unknown_labels == "refuse":
            return "unknown_label", (
                f"The label {label!r} is none of {', '.join(self.learner.classes)}, and "
                "TRAINER_UNKNOWN_LABELS is 'refuse'."
            )
        if len(known) >= self._settings.max_classes:
            return "too_many_classes", (
                f"The label {label!r} would be class {len(known) + 1}; TRAINER_MAX_CLASSES is "
                f"{self._settings.max_classes}."
            )
        return None

    def _predict(self, examples: Sequence[Example]) -> list[Belief | None]:
        """What the learner says before it learns; nothing before its first example."""
        if not examples or not any(self.learner.prior()):
            return [None] * len(examples)
        scores = softmax(self.learner.logits(Examples.of(examples)), axis=1)
        return [
            Belief(dict(zip(self.learner.classes, row, strict=True))) for row in scores.tolist()
        ]

    def _take_in(
        self,
        notices: Sequence[Notice],
        labels: dict[str, tuple[Label, Example, Belief | None]],
        opinions: dict[str, tuple[Opinion, Example, Belief | None]],
    ) -> list[str]:
        """Do what each message says, in their order; deletions were heeded before."""
        reactions: list[str] = []
        taken: list[Taken] = []
        heard: list[Heard] = []
        for notice in notices:
            if isinstance(notice, Label):
                if label := labels.pop(notice.event_id, None):
                    taken += self._take(*label)
            elif isinstance(notice, Opinion):
                if opinion := opinions.pop(notice.event_id, None):
                    heard.append(self._heeding.hear(*opinion, self.learner.classes))
            else:
                reactions.append(_reaction(notice))
        taken += self._try_suspects()
        learned = [(each.label, each.example) for each in taken if each.outcome == "learned"]
        lessons = [each for each in heard if each.outcome != "passed_over"]
        self._learn(learned)
        self._heeding.heed(self.learner, lessons, self._classes)
        if learned or lessons:
            self._relearn_if_due()
        if any(each.outcome == "held_out" for each in taken):
            self._database.kept.trim_holdout(self._settings.holdout_size)
        reactions += [each.outcome for each in heard]
        return reactions + [each.outcome for each in taken]

    def _take(self, label: Label, example: Example, belief: Belief | None) -> list[Taken]:
        """Hold a label back, or keep it, and the suspects of its listing that it confirms."""
        said = belief and belief.label
        self._scoreboard.add(label, said)
        if self._doubts.holds_back(label, belief):
            return [Taken("suspect", label, example)]
        released = self._encoded(self._doubts.released_by(label))
        return [*map(self._release, released), self._taken(label, example, said)]

    def _try_suspects(self) -> list[Taken]:
        """Put suspects on trial if many came, and take in those that are news."""
        encoded = self._encoded(self._doubts.on_trial())
        if not encoded:
            return []
        suspects = [suspect for suspect, _ in encoded]
        chance = random.Random(suspects[-1].label.event_id)  # noqa: S311 - reproducible, no secret
        known = self._database.kept.items_of(self._replay.draw(len(suspects) // 2, chance))
        judged = self._database.kept.items(held_out=True)
        verdict = trial(
            Lesson(Examples.of(row for _, row in encoded), [each.label.label for each in suspects]),
            Lesson(self._examples(known), known.labels),
            Lesson(self._examples(judged), judged.labels),
        )
        self._doubts.tried(suspects, verdict)
        return list(map(self._release, encoded)) if verdict.passed else []

    def _encoded(self, suspects: Sequence[Suspect]) -> list[tuple[Suspect, Example]]:
        """Suspects as the learner sees them now."""
        rows = self._live.encode([each.label.text for each in suspects]) if suspects else []
        return [(each, row) for each, row in zip(suspects, rows, strict=True) if row is not None]

    def _release(self, encoded: tuple[Suspect, Example]) -> Taken:
        suspect, example = encoded
        return self._taken(suspect.label, example, suspect.said)

    def _taken(self, label: Label, example: Example, said: str | None) -> Taken:
        held_out = self._keep(label, example, said)
        return Taken("held_out" if held_out else "learned", label, example)

    def _learn(self, labelled: Encoded) -> None:
        """Learn what came, with a draw from the replay buffer if the learner wants one."""
        if not labelled:
            return
        examples = Examples.of(example for _, example in labelled)
        logits = _known_logits(self.learner, examples)
        for (label, _), row in zip(labelled, logits, strict=True):
            self._database.kept.put_logits(label.listing_id, row)
        labels = [label.label for label, _ in labelled]
        self.learner.learn(examples, labels)
        self._classes.update(labels)
        if self.learner.rehearsal:
            chance = random.Random(labelled[0][0].event_id)  # noqa: S311 - reproducible, no secret
            draws = self._replay.draw(self.learner.rehearsal * len(labelled), chance)
            drawn = self._database.kept.items_of(draws)
            self.learner.rehearse(self._examples(drawn), drawn.labels)

    def _relearn_if_due(self) -> None:
        change, deletion = last_change(self._database), self._database.taught.untaken_since()
        why = why_anew(
            self._fitted,
            self._offered(),
            change.label if change else 0,
            self._settings.replay_size,
            None if deletion is None else self._database.lessons() - deletion,
        )
        if why:
            self._relearn(why)

    def _known_classes(self) -> Counter[str]:
        """How many labels of each class were learned, without those of deleted listings."""
        return Counter(self._database.known_to_be_learned())

    def _offered(self) -> Fitted:
        """What has come by now."""
        return Fitted(self._replay.offered(), self._database.last_learned())

    def _relearn(self, why: str) -> None:
        """Let the learner learn anew what depends on the order of the labels."""
        started = time.monotonic()
        items = self._database.kept.items(held_out=False)
        if self._database.opinions.last_learned():  # which no learner can take back, or keep alone
            self._replace(self.fitted(items, self._live.encode))
        else:
            self.learner = self.learner.relearned(self._examples(items), items.labels)
            self._database.drop_learner()
            self._database.taught.relearned()
            self._fitted = self._offered()
        self._database.keep_learner(self.learner.state())
        self.learner.changes()  # they are kept already
        _log.info(
            "learned anew from the replay buffer",
            why=why,
            listings=len(items.ids),
            seconds=round(time.monotonic() - started, 2),
        )

    def _examples(self, items: Items) -> Examples:
        return Examples(items.features, self._live.tokenise(items.texts))

    def _keep(self, label: Label, example: Example, guess: str | None) -> bool:
        """Keep a label for judgement or replay; return whether it is held out from learning."""
        held_out = self._is_held_out(label.listing_id)
        seq = self._database.add_label(label, held_out, guess)
        if held_out:
            self._database.kept.put(seq, True, label, example.features)
        else:
            self._database.taught.add(seq, example.features)
            self._offer(seq, label, example)
        return held_out

    def _is_held_out(self, listing_id: str) -> bool:
        held_out = self._database.held_out(listing_id)
        if held_out is None:
            return is_held_out(listing_id, self._settings.holdout_share)
        return held_out

    def _offer(self, seq: int, label: Label, example: Example) -> None:
        chance = random.Random(label.event_id)  # noqa: S311 - reproducible, no secret
        choice = self._replay.offer(label.listing_id, label.label, label.domain, chance)
        if choice.evict is not None:
            self._database.kept.remove(choice.evict)
        if choice.keep:
            self._database.kept.put(seq, False, label, example.features)

    def _forget(self, deletion: Forget) -> None:
        """Take back what was learned of a listing, and keep nothing of it but that it was deleted."""
        listing_id, taught = deletion.listing_id, self._database.taught
        lessons = taught.of(listing_id)
        clean = not lessons.seqs or self.learner.forget(lessons.features, lessons.labels)
        taught.delete(listing_id, [] if clean else lessons.seqs, self._database.lessons())
        self._replay.remove(listing_id)
        self._database.forget(listing_id)
        self._database.tombstones.put(listing_id, deletion.deleted_at)

    def _keep_learner(self) -> None:
        database = self._database
        database.keep_learner(self.learner.changes())
        database.remember(_NAME, self._settings.learner.encode())
        database.remember(_ENCODING, self._live.encoding.encode())
        database.remember(_SEEN, encode_fact(self._replay.seen))
        database.remember(_FULL, encode_fact(self._replay.full))
        database.remember(_FITTED, encode_fact(self._fitted))

    def _advance(self, records: Sequence[Record]) -> None:
        offsets: dict[tuple[str, int], list[int]] = {}
        for record in records:
            offsets.setdefault((record.topic, record.partition), []).append(record.offset)
        for (topic, partition), seen in offsets.items():
            self._database.advance(topic, partition, min(seen), max(seen) + 1)

    def _shrink_replay(self) -> None:
        """Obey a replay size that was made smaller since the last start."""
        with self._database.transaction():
            for listing in self._replay.shrink(random.Random(0)):  # noqa: S311 - no secret
                self._database.kept.remove(listing)

    def _refit(self, encode_again: bool) -> None:
        if encode_again:
            self._encode_again()
        items = self._database.kept.items(held_out=False)
        self._replace(self.fitted(items, self._live.encode))

    def _replace(self, learner: Learner) -> None:
        """Let a learner that was fitted to the replay buffer take the place of the one before."""
        self.learner = learner
        self._database.drop_learner()
        self._database.taught.begin_again()
        self._fitted = self._offered()
        items = self._database.kept.items(held_out=False)
        if items.ids:
            rows = _known_logits(learner, self._examples(items))
            for listing, row in zip(items.ids, rows, strict=True):
                self._database.kept.put_logits(listing, row)

    def _encode_again(self) -> None:
        kept = self._database.kept
        listings = [
            listing
            for items in (kept.items(held_out=False), kept.items(held_out=True))
            for listing in zip(items.ids, items.texts, strict=True)
        ]
        tell_at = 0.0
        for start in range(0, len(listings), _ENCODED_AT_ONCE):
            if time.monotonic() >= tell_at:
                tell_at = time.monotonic() + _TELL_SECONDS
                _log.info(
                    "encoding all kept listings with the new encoder: no label is learned meanwhile",
                    done=start,
                    of=len(listings),
                )
            some = listings[start : start + _ENCODED_AT_ONCE]
            rows = self._live.encode([text for _, text in some])
            for (listing, _), row in zip(some, rows, strict=True):
                if row is None:
                    self._replay.remove(listing)
                    kept.remove(listing)
                else:
                    kept.put_features(listing, row.features)
            self._gets_on()

    def _count(self, encoded: Encoded, gone: Sequence[Dead], outcomes: Sequence[str]) -> None:
        metrics = self._metrics
        metrics.events.labels("dead").inc(len(gone))
        for each in gone:
            metrics.dead_letters.labels(each.stage).inc()
        if gone:  # a line for each would let whoever sends rubbish fill the disk
            first = gone[0].record
            _log.warning(
                "dead letters",
                count=len(gone),
                stages=sorted({each.stage for each in gone}),
                first=f"{first.topic}/{first.partition}/{first.offset}",
            )
        for outcome in filter(None, outcomes):
            metrics.events.labels(outcome).inc()
        for label, _ in encoded:
            metrics.labels.labels(label.label, label.origin).inc()
        self._observe()

    def _observe(self) -> None:
        metrics = self._metrics
        self._scoreboard.show(self.learner.classes)
        if isinstance(self.learner, Mixture):
            for member, weight in self.learner.weights.items():
                metrics.mixture.labels(member).set(weight)
        for label, count in self._replay.counts().items():
            metrics.replay.labels(label).set(count)
        for domain, count in self._replay.domains().items():
            metrics.replay_domains.labels(domain).set(count)
        metrics.holdout.set(self._database.kept.holdout_size())
        self._doubts.observe()


def _by_event(
    encoded: Sequence[tuple[_Kind, Example]], beliefs: Sequence[Belief | None]
) -> dict[str, tuple[_Kind, Example, Belief | None]]:
    """What was said, its example, and what the learner believed, by event."""
    return {
        said.event_id: (said, example, belief)
        for (said, example), belief in zip(encoded, beliefs, strict=True)
    }


def _reaction(notice: Forget | Dead | Skip) -> str:
    if isinstance(notice, Forget):
        return "deletion"
    return "skipped" if isinstance(notice, Skip) else ""


def _known_logits(learner: Learner, examples: Examples) -> Floats:
    """What a learner says, as it is kept: not a number for classes without an example."""
    known = np.array(learner.prior()) > 0
    return np.where(known, learner.logits(examples), np.nan).astype(np.float32)


def _decoded(fact: bytes | None, kind: type[_Fact]) -> _Fact | None:
    return msgspec.json.decode(fact, type=kind) if fact else None
