"""The learner becomes a candidate, is judged, and is announced if it passes."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

import msgspec
import numpy as np
import structlog

from artefacts.classifier import Classifier
from artefacts.errors import StoreError
from artefacts.graphs import Floats
from artefacts.manifest import HEAD, Blob, FineTuning, Lineage, Manifest
from artefacts.store import Store, new_release_id
from runtime.announcements import announce
from runtime.retrying import BackOff
from runtime.settings import KafkaSettings, SharedSettings
from schemas.errors import RoomstreamError, TryAgain
from schemas.events import ReleaseAnnouncement
from trainer.calibration import Calibration
from trainer.database import Database
from trainer.heads import calibrated_head
from trainer.judging import HeldOut, Judging
from trainer.learners.base import Examples, Learner, Logits
from trainer.live import LiveRelease, Releases, encoding_of
from trainer.metrics import TrainerMetrics
from trainer.provenance import library_versions, with_golden
from trainer.settings import TrainerSettings

_log = structlog.get_logger(__name__)

_OPINION, _LEARNER = "last opinion judged", "last learner judged"
_BACK_OFF = BackOff(first_seconds=1.0, most_seconds=30.0)

Channel = Literal["live", "canary", "shadow"]

HEAD_TOLERANCE = 1e-4
"""How far a logit of the exported head may be from the learner's, relative to logits over 1."""


@dataclass(frozen=True)
class Tuned:
    """
    A fine-tuned encoder for a candidate to stand on.

    Attributes:
        parts: The files that it brings, by role.
        figures: How it was fine-tuned.
        holdout: What it makes of the hold-out, oldest first, float32 (items, dim).
    """

    parts: Mapping[str, bytes]
    figures: FineTuning
    holdout: Floats


class Publishing:
    """
    Makes releases of what was learned.

    Args:
        kafka: Where they are announced.
        shared: The store, and the topics' prefix.
        settings: How often, and what a release must show.
        database: What was learned, and where candidates are kept.
        releases: Loads the candidate as a worker would.
        metrics: Where outcomes are counted.
        epoch: That of this trainer: readers refuse its announcements once another one has a higher.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        shared: SharedSettings,
        settings: TrainerSettings,
        database: Database,
        releases: Releases,
        metrics: TrainerMetrics,
        epoch: int,
    ) -> None:
        self._kafka = kafka
        self._shared = shared
        self._settings = settings
        self._database = database
        self._releases = releases
        self._metrics = metrics
        self._epoch = epoch
        self._judging = Judging(database, releases, settings, metrics)
        self._store = Store(shared.store)
        self._judged_seq = database.candidates.last_seq_announced()
        self._judged_opinion = int(database.fact(_OPINION) or 0)
        self._judged_learner = (database.fact(_LEARNER) or b"").decode()
        self._judged_deletions = 0
        self._not_before = 0.0
        self._failures = 0
        self._failing_since = 0.0
        self._retry_at = 0.0
        self.fault = ""

    def waits(self) -> bool:
        """Whether publishing has failed, and it is too early to try again."""
        return time.monotonic() < self._retry_at

    def postpone(self, error: TryAgain) -> None:
        """
        Try again later what could not be published; a later candidate takes its place.

        Raises:
            TryAgain: It has failed for too long.
        """
        now = time.monotonic()
        if not self._failures:
            self._failing_since = now
        limit = self._settings.publish_limit_seconds
        if now - self._failing_since >= limit:
            raise TryAgain(
                f"For {limit:g} s and more nothing could be published: {error}"
            ) from error
        self._failures += 1
        wait = _BACK_OFF.wait_seconds(self._failures)
        self._retry_at, self.fault = now + wait, str(error)
        self._metrics.releases.labels("postponed").inc()
        _log.warning("release postponed: learning on", why=str(error), in_seconds=round(wait, 1))

    def due(self, live: LiveRelease) -> bool:
        """Whether it is time, the live one is not pinned, and what was learned or the learner changed."""
        return (
            not live.announcement.pinned
            and time.monotonic() >= self._not_before
            and (
                self._database.last_learned() > self._judged_seq
                or (self._judged_seq > 0 and self._judged_learner != self._settings.learner)
                or self._database.opinions.last_learned() > self._judged_opinion
                or self._database.taught.waiting(live.encoding) > self._judged_deletions
            )
        )

    def run(
        self,
        learner: Learner,
        live: LiveRelease,
        channel: Channel = "live",
        tuned: Tuned | None = None,
    ) -> LiveRelease:
        """
        Make a candidate and judge it; announce it if it passes.

        Args:
            learner: Becomes its head.
            live: What the candidate is compared with, and whose encoder it has.
            channel: Where it is announced.
            tuned: The encoder that it has instead.

        Returns:
            The new release, or the live one if the candidate was refused.

        Raises:
            StoreError: It could not be published; nothing half-written remains visible.
            TryAgain: It could not be announced.
            RoomstreamError: The exported head is not the learner: a bug.
        """
        started = time.perf_counter()
        last_seq = self._database.last_learned()
        last_opinion = self._database.opinions.last_learned()
        holdout = self._judging.holdout(live)
        seen = holdout.through(tuned.holdout) if tuned else holdout
        logits = _logits(learner, seen)
        calibration = self._judging.calibrate(learner.classes, logits, holdout)
        head = calibrated_head(
            learner.head(), calibration.temperature, calibration.correction.tolist()
        )
        parts = {HEAD: head, **(tuned.parts if tuned else {})}
        figures = tuned.figures if tuned else None
        candidate = self._make(learner, calibration, parts, live, figures)
        _check_head(learner.name, candidate, seen, calibration.apply(logits))
        manifest = self._judging.judge(candidate, live, holdout, seen)
        if all(result.passed for result in manifest.evaluation):
            parts = self._lacking(manifest, parts, live)
            live = self._announce(replace(candidate, manifest=manifest), parts, last_seq, channel)
            self._metrics.publish_seconds.observe(time.perf_counter() - started)
        else:
            self._refuse(manifest, last_seq)
        self._judged_seq = last_seq
        if (last_opinion, learner.name) != (self._judged_opinion, self._judged_learner):
            self._judged_opinion, self._judged_learner = last_opinion, learner.name
            with self._database.transaction():
                self._database.remember(_OPINION, str(last_opinion).encode())
                self._database.remember(_LEARNER, learner.name.encode())
        self._judged_deletions = self._database.taught.waiting(live.encoding)
        self._not_before = time.monotonic() + self._settings.release_interval_seconds
        self._failures, self.fault = 0, ""
        return live

    def repeat(self, announcement: ReleaseAnnouncement) -> ReleaseAnnouncement:
        """
        Announce once more what somebody else made live.

        Returns:
            It, under the epoch of this trainer.

        Raises:
            TryAgain: It could not be announced.
        """
        _log.info("announcing again what another announcement hides", release=announcement.release)
        return self.say(announcement)

    def say(self, announcement: ReleaseAnnouncement) -> ReleaseAnnouncement:
        """
        Announce a release that is in a store.

        Returns:
            The announcement, under the epoch of this trainer.

        Raises:
            TryAgain: It could not be announced.
        """
        ours = msgspec.structs.replace(announcement, epoch=self._epoch)
        announce(self._kafka, self._shared.topic_prefix, ours)
        if ours.channel == "live":
            self._note(ours.release)
        self._failures, self.fault = 0, ""
        return ours

    def _make(
        self,
        learner: Learner,
        calibration: Calibration,
        parts: Mapping[str, bytes],
        live: LiveRelease,
        figures: FineTuning | None,
    ) -> Classifier:
        """The candidate, loaded as a worker would load it; the store has nothing of it yet."""
        base = live.manifest
        created_at = datetime.now(UTC)
        ours = {role: Blob.of(data) for role, data in parts.items()}
        blobs = {**base.blobs, **ours}
        encoding, anew = encoding_of(blobs, base.max_length), figures is not None
        manifest = Manifest(
            release=new_release_id(created_at, ours[HEAD]),
            created_at=created_at,
            labels=learner.classes,
            max_length=base.max_length,
            feature_dimensions=base.feature_dimensions,
            temperature=calibration.temperature,
            class_prior=calibration.prior(learner.prior()),
            review_below=base.review_below,
            blobs=blobs,
            parent=base.release,
            base_model=base.base_model,
            learner=learner.name,
            lineage=Lineage(
                ranges=self._database.ranges(),
                labels_by_class=self._database.learned(),
                deleted=self._database.learned_and_deleted(),
                deleted_inside=self._database.taught.deleted_inside(encoding, anew),
                deleted_since=self._database.taught.deleted_since(encoding, anew),
            ),
            quantisation=figures.quantisation if figures else base.quantisation,
            fine_tuning=figures,
            versions=library_versions(),
        )
        by_digest = {ours[role].digest: data for role, data in parts.items()}

        def fetch(blob: Blob) -> bytes:
            if blob.digest in by_digest:
                return by_digest[blob.digest]
            return self._releases.fetch(live.announcement, blob)

        manifest = with_golden(manifest, fetch, self._releases.encoders)
        return Classifier.load(manifest, fetch, self._releases.encoders, self._settings.threads)

    def _lacking(
        self, manifest: Manifest, ours: Mapping[str, bytes], live: LiveRelease
    ) -> dict[str, bytes]:
        """What our store may lack: our parts, and everything where the live one is of another store."""
        if live.announcement.store == self._shared.store:
            self._store.require()
            return dict(ours)
        shared = manifest.blobs.items() - {role: manifest.blobs[role] for role in ours}.items()
        return {
            **ours,
            **{role: self._releases.fetch(live.announcement, blob) for role, blob in shared},
        }

    def _announce(
        self, candidate: Classifier, parts: Mapping[str, bytes], last_seq: int, channel: Channel
    ) -> LiveRelease:
        manifest = candidate.manifest
        with (
            self._database.transaction()
        ):  # first: what a crash leaves in the store is known as ours
            self._database.candidates.add(manifest, "unannounced", last_seq)
        announcement = ReleaseAnnouncement(
            channel=channel,
            release=manifest.release,
            manifest_digest=self._store.publish(manifest, parts.values()),
            store=self._shared.store,
            share=1.0 if channel == "live" else self._settings.challenger_share,
            why=_why(manifest),
            announced_at=datetime.now(UTC),
        )
        announcement = self.say(announcement)
        if channel == "live":
            self.measure_label_to_live(last_seq)
        outcome = "announced" if channel == "live" else "challenger"
        with self._database.transaction():
            self._database.candidates.settle(manifest.release, outcome)
            self._database.taught.announced_without(
                manifest.release,
                encoding_of(manifest.blobs, manifest.max_length),
                anew=manifest.fine_tuning is not None,
            )
        self._metrics.releases.labels(outcome).inc()
        _log.info(
            "release announced",
            channel=channel,
            release=manifest.release,
            parent=manifest.parent,
            labels=sum(manifest.lineage.labels_by_class.values()),
            gates={result.gate: result.why for result in manifest.evaluation},
        )
        return LiveRelease(announcement, candidate)

    def measure_label_to_live(self, last_seq: int) -> None:
        """Measure how long the labels up to a number took that no live release had before."""
        now_ms = time.time() * 1000
        for arrived_ms in self._database.arrivals(
            self._database.candidates.last_seq_announced(), last_seq
        ):
            self._metrics.label_to_live_seconds.observe(max(0.0, (now_ms - arrived_ms) / 1000))

    def _note(self, release: str) -> None:
        """Tell the command; it was announced already, so that a failure is no reason to do it again."""
        try:
            self._store.point("live", release)
        except StoreError as error:
            _log.warning("'roomstream classify' goes on with the release before", why=str(error))

    def _refuse(self, manifest: Manifest, last_seq: int) -> None:
        with self._database.transaction():
            self._database.candidates.add(manifest, "refused", last_seq)
        self._metrics.releases.labels("refused").inc()
        _log.info(
            "candidate refused: the live release stays",
            candidate=manifest.release,
            live=manifest.parent,
            gates={result.gate: result.why for result in manifest.evaluation if not result.passed},
        )


def _why(manifest: Manifest) -> str:
    learned = f"learned {sum(manifest.lineage.labels_by_class.values())} labels"
    tuned = manifest.fine_tuning
    return f"{learned}, encoder fine-tuned ({tuned.why})"[:1_000] if tuned else learned


def _logits(learner: Learner, holdout: HeldOut) -> Logits:
    """What the learner says of the hold-out: float64 (listings, classes)."""
    if not holdout.tokens:
        return np.zeros((0, len(learner.classes)))
    ids = [text.ids for text in holdout.tokens]
    return learner.logits(Examples(holdout.items.features, ids))


def _check_head(learner: str, candidate: Classifier, holdout: HeldOut, expected: Logits) -> None:
    """Compare the exported head with the calibrated learner on the hold-out."""
    if not holdout.tokens:
        return
    found, _ = candidate.head.of_tokens(holdout.items.features, holdout.tokens)
    difference = float((np.abs(found - expected) / np.maximum(1, np.abs(expected))).max())
    if not difference <= HEAD_TOLERANCE:
        raise RoomstreamError(
            f"This is a bug: the exported head differs from the learner {learner} by "
            f"{difference:.1e}, allowed are {HEAD_TOLERANCE:.0e}. Nothing was published."
        )
