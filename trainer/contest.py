"""
Releases against each other, on labels as they come and before anything learns them.

A challenger is compared with the live release, the live release with the last one that proved itself,
and the learner, of which the next candidate is made, with the live release. What each of them would have
said is computed here, at the moment a label arrives: releases are fixed, and their golden inputs say that
they answer the same on every machine, so that this is what the workers said or would have said, paired
label by label and without a message more. A label of a listing that was labelled before does not count,
because one of the two may have learned it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import msgspec
import numpy as np
import structlog

from artefacts.errors import InferenceError, ReleaseError, StoreError
from schemas.events import ReleaseAnnouncement
from trainer.database import Database
from trainer.intake import Label
from trainer.learners.base import Example
from trainer.live import LiveRelease, Releases
from trainer.metrics import TrainerMetrics
from trainer.sequential import Pairs, verdict
from trainer.settings import TrainerSettings

_log = structlog.get_logger(__name__)

_DUEL, _GUARD, _LEAD, _PROBATION = "duel", "guard", "lead", "probation"
_RETRY_SECONDS = 15.0


class Duel(msgspec.Struct, frozen=True):
    """
    A comparison that goes on; kept in the database.

    Attributes:
        new: What is judged.
        old: What it is compared with.
        pairs: The labels that both answered.
    """

    new: ReleaseAnnouncement
    old: ReleaseAnnouncement
    pairs: Pairs = Pairs()

    def between(self, new: ReleaseAnnouncement, old: ReleaseAnnouncement) -> Self:
        """This one, or a new one where it is of other releases."""
        same = (self.new.release, self.old.release) == (new.release, old.release)
        return msgspec.structs.replace(
            self, new=new, old=old, pairs=self.pairs if same else Pairs()
        )


class Lead(msgspec.Struct, frozen=True):
    """
    How far the learner is ahead of the live release; kept in the database.

    Attributes:
        release: The live one.
        pairs: What both said of labels since it is live, before the learner learned them.
    """

    release: str
    pairs: Pairs = Pairs()


@dataclass(frozen=True)
class Move:
    """
    What is to be done, and why.

    Attributes:
        kind: `promote` a challenger, `drop` it, or `restore` the release before the live one.
        announcement: The challenger, or what is restored.
        why: In plain words.
    """

    kind: Literal["promote", "drop", "restore"]
    announcement: ReleaseAnnouncement
    why: str


class Contest:
    """
    The comparisons of one deployment.

    Args:
        database: Where they are kept, with the labels that they are of.
        settings: The chances of error, and the margin.
        releases: Loads what is compared.
        metrics: Where they are shown.
        live: The live release.

    Attributes:
        live: The same, until another one is.
        challenger: What is on trial, if anything.
        loaded: All that is compared, by release.
    """

    def __init__(
        self,
        database: Database,
        settings: TrainerSettings,
        releases: Releases,
        metrics: TrainerMetrics,
        live: LiveRelease,
    ) -> None:
        self._database = database
        self._settings = settings
        self._releases = releases
        self._metrics = metrics
        self.loaded: dict[str, LiveRelease] = {}
        self._faults: dict[str, str] = {}
        self._retry_at = 0.0
        self.challenger: ReleaseAnnouncement | None = None
        self._duel = self._kept(_DUEL)
        self._guard = self._kept(_GUARD) or Duel(live.announcement, live.announcement)
        self._lead = lead(database) or Lead(live.manifest.release)
        self.live = live
        self.lives(live)

    def lives(self, live: LiveRelease) -> None:
        """
        Note what is live now, in whatever way it came to be.

        Where the trainer goes on from release to release, the last one that proved itself stays the
        one to go back to; where somebody else chose, or a challenger won, it is the one before. What
        won as a challenger also ends a probation.
        """
        self.live = live
        new, guard = live.announcement, self._guard
        another = new.release != guard.new.release
        won = another and self._duel is not None and self._duel.new.release == new.release
        if new.release == guard.old.release:
            self._guard = Duel(new, new)
        elif another and (won or new.epoch is None):
            self._guard = Duel(new, guard.new)
        else:
            self._guard = Duel(new, guard.old, guard.pairs)
        if new.release != self._lead.release:
            self._lead = Lead(new.release)
        with self._database.transaction():
            self._keep()
            if won:
                self._database.remember(_PROBATION, b"no")
        self._load()

    def challenged(self, challenger: ReleaseAnnouncement | None) -> None:
        """Note which release is on channel canary or shadow now, if any."""
        if challenger != self.challenger:
            self.challenger, self._retry_at = challenger, 0.0
            self._load()
        elif any(each.release not in self.loaded for each in self._wanted()):
            self._load()

    @property
    def on_probation(self) -> bool:
        """Whether a release was rolled back and none has won as a challenger since."""
        return self._database.fact(_PROBATION) == b"yes"

    def put_on_probation(self) -> None:
        """From now on a release must win as a challenger, whatever the settings say, until one has."""
        with self._database.transaction():
            self._database.remember(_PROBATION, b"yes")

    def observe(
        self,
        labelled: Sequence[tuple[Label, Example]],
        predicted: Sequence[str | None],
        encoding: str,
    ) -> None:
        """
        Compare on labels that nothing has learned yet; within the transaction that keeps them.

        Args:
            labelled: Labels, and their features.
            predicted: What the learner says of each; None where it says nothing.
            encoding: By which these features are.
        """
        fresh, said = [], []
        for each, guess in zip(labelled, predicted, strict=True):
            if self._database.held_out(each[0].listing_id) is None:
                fresh.append(each)
                said.append(guess)
        if not fresh:
            return
        right: dict[str, list[bool]] = {}
        for release, loaded in self.loaded.items():
            right[release] = _right(loaded, fresh, encoding)
        learner = [guess == label.label for guess, (label, _) in zip(said, fresh, strict=True)]
        pairs = self._lead.pairs + _pairs(learner, right[self.live.manifest.release])
        self._lead = Lead(self._lead.release, pairs)
        if self._duel is not None:
            self._duel = _with(self._duel, right)
        self._guard = _with(self._guard, right)
        self._keep()

    def move(self) -> Move | None:
        """What is to be done now, if anything; what cannot be loaded waits until it can."""
        return self._challengers_move() or self._guards_move()

    def _challengers_move(self) -> Move | None:
        challenger, live = self.challenger, self.live.announcement
        if challenger is None or challenger.pinned:
            return None
        if challenger.release == live.release:
            return Move("drop", challenger, "it is live")
        if fault := self._faults.get(challenger.release):
            return Move("drop", challenger, f"it cannot be loaded: {fault}"[:1_000])
        if self._duel is None or self._duel.between(challenger, live) != self._duel:
            return None
        found = self._verdict(self._duel.pairs)
        if found == "worse":
            why = f"worse than {live.release}: {_figures(self._duel.pairs)}"
            return Move("drop", challenger, why)
        if found == "better" and not live.pinned and challenger.release in self.loaded:
            why = f"promoted from {challenger.channel}: {_figures(self._duel.pairs)}"
            return Move("promote", challenger, why)
        return None

    def _guards_move(self) -> Move | None:
        guard = self._guard
        found = self._verdict(guard.pairs)
        if found == "worse" and not guard.new.pinned and guard.old.release in self.loaded:
            why = f"rolled back from {guard.new.release}, which is worse: {_figures(guard.pairs)}"
            return Move("restore", guard.old, why)
        if found == "better":
            _log.info(
                "the live release has proved itself: it is the one to go back to from now on",
                release=guard.new.release,
                instead_of=guard.old.release,
                why=_figures(guard.pairs),
            )
            self._guard = Duel(guard.new, guard.new)
            with self._database.transaction():
                self._keep()
            self._load()
        return None

    def _verdict(self, pairs: Pairs) -> str:
        settings = self._settings
        return verdict(
            pairs,
            settings.promotion_margin,
            settings.promotion_error,
            settings.rollback_error,
        )

    def compared(self) -> set[str]:
        """The releases that are compared with each other, or may be gone back to."""
        guard, challenger = self._guard, self.challenger
        return {guard.new.release, guard.old.release, *([challenger.release] if challenger else [])}

    def _wanted(self) -> list[ReleaseAnnouncement]:
        live = self.live.announcement
        others = [self._guard.old, *([self.challenger] if self.challenger else [])]
        return [each for each in others if each.release != live.release]

    def _load(self) -> None:
        """Hold exactly what is compared, and begin the comparison that is to be."""
        wanted = {each.release: each for each in self._wanted()}
        held = {**self.loaded, self.live.manifest.release: self.live}
        self.loaded = {
            release: loaded
            for release, loaded in held.items()
            if release in wanted or loaded is self.live
        }
        if time.monotonic() >= self._retry_at:
            for release in wanted.keys() - self.loaded.keys() - self._faults.keys():
                self._fetch(wanted[release])
        new, old = self.challenger, self.live.announcement
        if new is None or new.release not in self.loaded or new.release == old.release:
            return
        self._duel = (self._duel or Duel(new, old)).between(new, old)

    def _fetch(self, announcement: ReleaseAnnouncement) -> None:
        try:
            self.loaded[announcement.release] = self._releases.load(announcement)
        except StoreError as error:
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            _log.warning("release cannot be compared yet: trying again", why=str(error))
        except ReleaseError as error:
            self._faults[announcement.release] = str(error)
            _log.error(
                "release cannot be compared, nor gone back to: 'roomstream releases verify' says more",
                release=announcement.release,
                why=str(error),
            )

    def _kept(self, name: str) -> Duel | None:
        fact = self._database.fact(name)
        return msgspec.json.decode(fact, type=Duel) if fact else None

    def _keep(self) -> None:
        for name, duel in ((_DUEL, self._duel), (_GUARD, self._guard)):
            if duel is not None:
                self._database.remember(name, msgspec.json.encode(duel))
                self._show(name, duel.pairs)
        self._database.remember(_LEAD, msgspec.json.encode(self._lead))
        self._show(_LEAD, self._lead.pairs)

    def _show(self, name: str, pairs: Pairs) -> None:
        for outcome in ("wins", "losses", "ties"):
            self._metrics.pairs.labels(name, outcome).set(getattr(pairs, outcome))


def lead(database: Database) -> Lead | None:
    """How far the learner is ahead; None before a contest was begun."""
    fact = database.fact(_LEAD)
    return msgspec.json.decode(fact, type=Lead) if fact else None


def guarded_by(database: Database) -> ReleaseAnnouncement | None:
    """The last release that labels have proved; None before a contest was begun."""
    fact = database.fact(_GUARD)
    return msgspec.json.decode(fact, type=Duel).old if fact else None


def _with(duel: Duel, right: dict[str, list[bool]]) -> Duel:
    """Add what two releases answered; nothing where one of them is not loaded, or both are one."""
    new, old = duel.new.release, duel.old.release
    if new == old or new not in right or old not in right:
        return duel
    pairs = duel.pairs + _pairs(right[new], right[old])
    return msgspec.structs.replace(duel, pairs=pairs)


def _pairs(ours: Sequence[bool], theirs: Sequence[bool]) -> Pairs:
    differences = [our - their for our, their in zip(ours, theirs, strict=True)]
    return Pairs(differences.count(1), differences.count(-1), differences.count(0))


def _right(
    release: LiveRelease, labelled: Sequence[tuple[Label, Example]], encoding: str
) -> list[bool]:
    """Whether a release is right; one that cannot answer is not."""
    features = np.stack([example.features for _, example in labelled])
    try:
        answers = release.says([label.text for label, _ in labelled], features, encoding)
    except InferenceError:
        return [False] * len(labelled)
    return [answer == label.label for answer, (label, _) in zip(answers, labelled, strict=True)]


def _figures(pairs: Pairs) -> str:
    return (
        f"of {pairs.labels:,} labels, only it was right on {pairs.wins:,} and only the other on "
        f"{pairs.losses:,} ({pairs.difference:+.1%})"
    )
