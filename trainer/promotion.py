"""A candidate on its way from the gates to all listings, and back."""

from datetime import UTC, datetime

import msgspec
import structlog

from schemas.events import ReleaseAnnouncement
from trainer.contest import Contest, Move
from trainer.database import Database
from trainer.finetuning.slow_path import SlowPath
from trainer.following import Following
from trainer.learning import Learning
from trainer.live import LiveRelease
from trainer.metrics import TrainerMetrics
from trainer.publishing import Channel, Publishing
from trainer.settings import TrainerSettings

_log = structlog.get_logger(__name__)

_OUTCOMES = {"promote": "promoted", "drop": "dropped", "restore": "rolled_back"}


class Promotion:
    """
    Makes candidates, and does what their trials decide.

    What is announced on `releases` is the truth; the database knows how far a trial is. A trainer that is
    killed between two steps finds on the topic which were done, and does the others.

    Args:
        settings: Where candidates go from the gates.
        database: Knows what became of them.
        contest: Compares.
        publishing: Makes and announces.
        following: Knows what is announced.
        learning: Learns with what is live.
        slow_path: Fine-tunes encoders.
        metrics: Where it is counted.
    """

    def __init__(
        self,
        settings: TrainerSettings,
        database: Database,
        contest: Contest,
        publishing: Publishing,
        following: Following,
        learning: Learning,
        slow_path: SlowPath,
        metrics: TrainerMetrics,
    ) -> None:
        self._settings = settings
        self._database = database
        self._contest = contest
        self._publishing = publishing
        self._following = following
        self._learning = learning
        self._slow_path = slow_path
        self._metrics = metrics

    def follow(self) -> None:
        """Take up what is live and on trial by now, whoever announced it."""
        if self._following.newer():
            self._learning.follow(self._following.live)
        if self._following.live is not self._contest.live:
            self._contest.lives(self._following.live)
        self._contest.challenged(self._following.challenger)

    @property
    def on_trial(self) -> LiveRelease | None:
        """The challenger, once it is loaded."""
        challenger = self._contest.challenger
        return self._contest.loaded.get(challenger.release) if challenger else None

    def step(self) -> None:
        """
        Do what a trial has decided, or make a candidate if one is due.

        Raises:
            StoreError: It could not be published; nothing half-written remains visible.
            TryAgain: It could not be announced.
        """
        if self._following.undecided:
            return
        live, challenger = self._following.live, self._contest.challenger
        if move := self._contest.move():
            self._carry_out(move)
        elif challenger is not None and (not challenger.pinned or self._channel() != "live"):
            return  # one trial at a time
        elif self._slow_path.ready and not live.announcement.pinned:
            self._announced(self._slow_path.conclude(live, self._publishing, self._channel()))
        elif self._publishing.due(live):
            self._announced(self._publishing.run(self._learning.learner, live, self._channel()))

    def _channel(self) -> Channel:
        """Where the next candidate goes: live at once where there is nothing to compare it with."""
        if self._following.live.manifest.learner == "untrained":
            return "live"
        if self._contest.on_probation:
            return "shadow"
        chosen = self._settings.promotion
        return "live" if chosen == "direct" else chosen

    def _announced(self, made: LiveRelease) -> None:
        if made.announcement.channel == "live":
            self._following.is_ours(made)
            self._contest.lives(made)
        else:
            self._following.is_said(made.announcement)
            self._contest.challenged(made.announcement)

    def _carry_out(self, move: Move) -> None:
        if move.kind == "restore":
            self._contest.put_on_probation()
        if move.kind != "drop":
            self._go_live(move)
        if move.kind != "restore":
            self._end(move)
        self._metrics.promotions.labels(_OUTCOMES[move.kind]).inc()
        _log.info(
            "labels have decided",
            outcome=_OUTCOMES[move.kind],
            release=move.announcement.release,
            why=move.why,
        )

    def _go_live(self, move: Move) -> None:
        chosen = self._contest.loaded[move.announcement.release]
        said = self._publishing.say(_again(move, channel="live", share=1.0))
        live = LiveRelease(said, chosen.classifier)
        self._following.is_ours(live)
        self._learning.follow(live)
        if move.kind == "promote":
            last_seq = self._database.candidates.last_seq_of(move.announcement.release)
            self._publishing.measure_label_to_live(last_seq)
        self._contest.lives(live)

    def _end(self, move: Move) -> None:
        """Say that a trial is over, and note how it ended."""
        said = self._publishing.say(_again(move, share=0.0))
        self._following.is_said(said)
        is_live = move.announcement.release == self._following.live.manifest.release
        with self._database.transaction():
            self._database.candidates.settle(
                move.announcement.release, "announced" if is_live else "dropped"
            )
        self._contest.challenged(self._following.challenger)


def _again(move: Move, **changes: object) -> ReleaseAnnouncement:
    """The announcement of a move."""
    return msgspec.structs.replace(
        move.announcement,
        pinned=False,
        why=move.why[:1_000],
        announced_at=datetime.now(UTC),
        **changes,
    )
