"""
The trainer's side of fine-tuning: when it begins, what becomes of it.

The fast path learns on meanwhile. Whatever is killed at any moment, the restart ends in the same release:
the job in hand is in the database, its files are beside it, the process goes on from its checkpoint, and
only what was announced is adopted.

A job whose listing is deleted begins again without it: nothing of the listing stays in its files, nor in
the encoder.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import structlog

from artefacts.manifest import ENCODER, WEIGHTS, Blob
from schemas.errors import RoomstreamError, TryAgain
from schemas.events import FineTuneRequest
from trainer.database import Database
from trainer.drift import Drift, DriftEvent
from trainer.finetuning.finished import Finished
from trainer.finetuning.job import Job, JobFolder, Listings
from trainer.finetuning.memory import Memory, reason, recall, remember, want, wanted
from trainer.finetuning.process import Process
from trainer.holdout import is_held_out
from trainer.learning import Learning
from trainer.live import LiveRelease, Releases, encoding_of
from trainer.metrics import TrainerMetrics
from trainer.publishing import Channel, Publishing, Tuned
from trainer.settings import TrainerSettings

_log = structlog.get_logger(__name__)

VALIDATION_SHARE = 0.1
_LOOK_SECONDS = 0.5
_NOTE_SECONDS = 5.0
_RETRY_SECONDS = 30.0


class SlowPath:
    """
    Begins fine-tuning, follows it, and makes a candidate of it.

    Args:
        settings: When, how long, and how much it may take.
        database: What is kept to learn from, and the job in hand.
        learning: Is given the new encoder once a release with it was announced.
        releases: Loads encoders.
        drift: Says when the stream has changed.
        requested: The last request of an operator, if there was one.
        metrics: Where it is shown.
        log_level: Of the process.
    """

    def __init__(
        self,
        settings: TrainerSettings,
        database: Database,
        learning: Learning,
        releases: Releases,
        drift: Drift,
        requested: Callable[[], FineTuneRequest | None],
        metrics: TrainerMetrics,
        log_level: str,
    ) -> None:
        self._settings = settings
        self._database = database
        self._learning = learning
        self._releases = releases
        self._drift = drift
        self._requested = requested
        self._metrics = metrics
        self._folder = JobFolder(Path(f"{settings.database}.fine-tuning"))
        self._process = Process(self._folder, metrics, log_level)
        self._memory = recall(database)
        self._finished: Finished | None = None
        self._complete = False
        self._unsaved_seconds = 0.0
        self._deletions = -1  # of an earlier process: unknown
        self._look_at = self._note_at = 0.0
        self._told: set[str] = set()
        self._take_up()

    @property
    def ready(self) -> bool:
        """Whether there is a fine-tuned encoder to make a candidate of."""
        return self._finished is not None and self._complete

    def step(self, live: LiveRelease, on_trial: LiveRelease | None = None) -> None:
        """
        Begin, go on or end, whichever it is time for.

        Args:
            live: What serves.
            on_trial: What is tried beside it, if anything.
        """
        if self._finished is None and time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + _LOOK_SECONDS
        if not self._memory.job:
            self._begin_if_due(live)
        elif self._memory.encoding != live.encoding:
            self._another_encoder_is_live(live)
        elif self._a_listing_was_deleted():
            self._begin_again()
        elif self._folder.finished:
            try:
                self._catch_up(live, on_trial)
            except RoomstreamError as error:
                self._end("failed", str(error))
        else:
            self._tend()

    def conclude(
        self, live: LiveRelease, publishing: Publishing, channel: Channel = "live"
    ) -> LiveRelease:
        """
        Make a candidate of the new encoder and a learner fitted to it.

        If it is live at once, the trainer goes on with it. Where it goes on trial the learner stays with
        the live encoder, and follows once the trial is won.

        Args:
            live: What it is compared with.
            publishing: Judges and announces it.
            channel: Where it is announced.

        Returns:
            The new release, or the live one if the candidate was refused.

        Raises:
            TryAgain: It could not be published or announced; the encoder is kept.
        """
        finished = self._finished
        assert finished is not None, "this is a bug: nothing is ready"
        seqs = self._database.kept.seqs()
        replay = finished.seen(self._database.kept.items(held_out=False), seqs)
        holdout = finished.seen(self._database.kept.items(held_out=True), seqs)
        learner = self._learning.fitted(replay, partial(finished.encode, live))
        tuned = Tuned(finished.parts, finished.figures, holdout.features)
        blobs = {**live.manifest.blobs, ENCODER: Blob.of(finished.parts[ENCODER])}
        with self._database.transaction():
            self._database.taught.tuned(
                encoding_of(blobs, live.manifest.max_length), live.encoding, finished.seen_seqs
            )
        try:
            after = publishing.run(learner, live, channel, tuned)
        except TryAgain:
            raise
        except RoomstreamError as error:  # else every restart would end in it again
            self._end("failed", str(error))
            return live
        if after is live:
            self._end("refused", "the candidate did not pass; the live encoder stays")
        elif channel != "live":
            self._end("announced", f"release {after.manifest.release} is on trial ({channel})")
        else:
            features = {
                listing: row
                for items in (replay, holdout)
                for listing, row in zip(items.ids, items.features, strict=True)
            }
            self._learning.adopt(after, learner, features)
            self._end("announced", f"release {after.manifest.release} has the new encoder")
        return after

    def close(self) -> None:
        """Stop; a start goes on from the last checkpoint."""
        self._process.kill()
        self._note()

    def _take_up(self) -> None:
        """Go on where a trainer ended; one of another machine has left no files here."""
        job, memory = self._folder.job(), self._memory
        lost = memory.job and (job is None or job.name != memory.job)
        with self._database.transaction():
            if lost:
                _log.info("fine-tuning begins again: its files are not here", why=memory.why)
                want(self._database, memory.why)
            if lost or not memory.ended_at:
                ended_at = memory.ended_at or time.time()
                self._keep(msgspec.structs.replace(memory, job="", ended_at=ended_at))
        if not self._memory.job:
            self._folder.remove()
        self._metrics.finetuning.set(bool(self._memory.job))

    def _begin_if_due(self, live: LiveRelease) -> None:
        if not self._settings.finetune_cpu_seconds or live.announcement.pinned:
            return
        request, drift = self._requested(), self._drift.pending
        last_label = self._database.last_learned()
        if drift and last_label - drift.label < self._settings.finetune_drift_labels:
            drift = None  # what there is of the new kind would teach the encoder little
        if request and request.request_id != self._memory.request:
            why = f"requested: {request.why}"
        else:
            why = wanted(self._database) or _change(drift)
            why = why or reason(self._settings, self._memory, last_label, datetime.now(UTC))
        if not why:
            return
        try:
            begun = self._begin(live, why, last_label)
        except (TryAgain, OSError) as error:
            self._look_at = time.monotonic() + _RETRY_SECONDS
            _log.warning("fine-tuning cannot begin: trying again", why=str(error))
            return
        with self._database.transaction():
            want(self._database, "")
            if drift:
                self._drift.handle()
            self._keep(
                msgspec.structs.replace(
                    self._memory,
                    job=begun,
                    why=why,
                    encoding=live.encoding,
                    label=last_label,
                    request=request.request_id if request else self._memory.request,
                )
            )
        self._metrics.finetuning.set(bool(begun))

    def _begin(self, live: LiveRelease, why: str, seed: int) -> str:
        """Write a job; its name, or empty where none can be done."""
        weights = live.manifest.blobs.get(WEIGHTS)
        if weights is None:
            self._tell_once(
                f"release {live.manifest.release} has no {WEIGHTS}: its encoder cannot be fine-tuned. "
                "Import the base model again with 'roomstream base import --replace'."
            )
            return ""
        classes = self._learning.learner.classes
        listings = self._listings(live, classes)
        learned = listings.labels >= 0
        if not (learned & listings.validation).any() or not (learned & ~listings.validation).any():
            _log.warning(
                "nothing is fine-tuned: too few listings are kept", listings=int(learned.sum())
            )
            return ""
        counts, quantisation = self._database.learned(), live.manifest.quantisation
        job = Job(
            name=f"{time.time_ns()}",
            why=why,
            counts=[counts.get(label, 0) for label in classes],
            steps=self._settings.finetune_steps,
            seed=seed,
            threads=self._settings.finetune_threads,
            int8_loss=quantisation.accepted if quantisation else None,
        )
        fetched = self._releases.fetch(live.announcement, weights)
        self._folder.begin(job, listings, fetched)
        _log.info("fine-tuning begins", why=why, listings=int(learned.sum()), steps=job.steps)
        return job.name

    def _listings(self, live: LiveRelease, classes: list[str]) -> Listings:
        """All that is kept: what is held out is only encoded."""
        replay, holdout = (
            self._database.kept.items(held_out=False),
            self._database.kept.items(held_out=True),
        )
        ids, seqs = [*replay.ids, *holdout.ids], self._database.kept.seqs()
        logits = self._database.kept.logits()
        stored = np.full((len(ids), len(classes)), np.nan, np.float32)
        for row, listing in enumerate(replay.ids):
            if listing in logits:
                stored[row, : len(logits[listing])] = logits[listing]
        labels = [classes.index(label) for label in replay.labels] + [-1] * len(holdout.ids)
        return Listings(
            ids=ids,
            seqs=[seqs[listing] for listing in ids],
            tokens=[list(row) for row in live.tokenise([*replay.texts, *holdout.texts])],
            labels=np.array(labels, np.int64),
            stored=stored,
            validation=np.array(
                [is_held_out(f"validation {listing}", VALIDATION_SHARE) for listing in ids], bool
            ),
        )

    def _tend(self) -> None:
        left = self._settings.finetune_cpu_seconds - self._spent()
        if left <= 0:
            self._tell_once(f"fine-tuning has taken its processor time of {_today()}: waiting")
        goes_on = self._process.tend(left)
        self._unsaved_seconds += self._process.taken()
        if time.monotonic() >= self._note_at:
            self._note()
        if not goes_on:
            self._end("failed", "its process failed too often; its own log lines say why")

    def _catch_up(self, live: LiveRelease, on_trial: LiveRelease | None) -> None:
        """Encode what came meanwhile, twice as fast as it comes, while learning goes on."""
        if self._finished is None:
            self._process.kill()
            self._unsaved_seconds += self._process.taken()
            if on_trial and self._is_ours(on_trial):  # killed before it noted the announcement
                self._end("announced", f"release {on_trial.manifest.release} is on trial")
                return
            self._finished = Finished(self._folder, self._releases, self._settings.threads)
        most = 2 * self._settings.max_batch
        self._complete = self._finished.encode_some(self._database, live, most)
        if not self._finished.is_sound:
            self._end("failed", "the new encoder's features are not finite numbers")
        elif self._complete and not self._database.kept.listings():
            self._end("abandoned", "no listing is kept any more")

    def _a_listing_was_deleted(self) -> bool:
        """Whether one of the job's was, since it was looked for last."""
        before, self._deletions = self._deletions, self._learning.deletions
        return before != self._deletions and self._database.lost(self._folder.seqs())

    def _begin_again(self) -> None:
        with self._database.transaction():
            want(self._database, self._memory.why)
        self._end("abandoned", "a listing of it was deleted: it begins again")

    def _another_encoder_is_live(self, live: LiveRelease) -> None:
        if self._folder.finished and self._is_ours(live):  # killed before it noted the announcement
            self._end("announced", f"release {live.manifest.release} has the new encoder")
        else:
            self._end("abandoned", "another encoder is live")

    def _is_ours(self, release: LiveRelease) -> bool:
        return Blob.of(self._folder.result().encoder) == release.manifest.blobs[ENCODER]

    def _end(self, outcome: str, why: str) -> None:
        self._process.kill()
        self._finished, self._complete = None, False
        self._note(msgspec.structs.replace(self._memory, job="", ended_at=time.time()))
        self._folder.remove()
        self._metrics.finetunes.labels(outcome).inc()
        self._metrics.finetuning.set(0)
        _log.info("fine-tuning ended", outcome=outcome, why=why)

    def _note(self, memory: Memory | None = None) -> None:
        """Write down the processor time that was taken."""
        memory = memory or self._memory
        if self._unsaved_seconds or memory is not self._memory:
            with self._database.transaction():
                self._keep(memory.spending(self._unsaved_seconds, datetime.now(UTC)))
            self._unsaved_seconds = 0.0
        self._note_at = time.monotonic() + _NOTE_SECONDS

    def _keep(self, memory: Memory) -> None:
        remember(self._database, memory)
        self._memory = memory

    def _spent(self) -> float:
        return self._memory.spent(datetime.now(UTC)) + self._unsaved_seconds

    def _tell_once(self, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            _log.warning(what)


def _change(drift: DriftEvent | None) -> str:
    return f"the stream has changed{drift.domain and ': ' + drift.domain}" if drift else ""


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
