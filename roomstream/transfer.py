"""A file of labelled listings becomes a candidate: by fine-tuning a base, or by a teacher."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from artefacts.errors import ReleaseMissing, ReleaseRefused
from artefacts.manifest import TOKENIZER, WEIGHTS, Lineage, Manifest
from artefacts.store import Store
from artefacts.tokenisation import Tokenizer
from roomstream.labelled_rows import rows_of
from roomstream.live import live_announcement, put_on_channel
from runtime.settings import KafkaSettings, SharedSettings, load
from schemas.errors import ConfigurationError
from schemas.events import ReleaseAnnouncement
from trainer.base_import import check_labels, check_length
from trainer.encoders import encoder_of_weights
from trainer.live import LiveRelease, Releases
from trainer.settings import TrainerSettings
from trainer.sources import Source, load_source
from trainer.transfer.candidates import Candidate, Origin, candidate_of, judged
from trainer.transfer.curve import check_picture, draw, save
from trainer.transfer.distillation import Transfer
from trainer.transfer.lessons import Lessons
from trainer.transfer.plan import LABELS_ALONE, Pace, Shares
from trainer.transfer.teachers import Teacher

LAYERS = "layers"
"""The student that is made of every other layer of its teacher."""


class View(Protocol):
    """Where it is shown how far a transfer is."""

    def say(self, what: str) -> None:
        """Say what is done next, or why something is not."""
        ...

    def reading(self, texts: int) -> AbstractContextManager[Callable[[int], None]]:
        """Show how many texts a teacher has read, while the block runs."""
        ...

    def training(self, steps: int) -> AbstractContextManager[Callable[[Transfer], None]]:
        """Show the losses, while the block runs."""
        ...


@dataclass(frozen=True)
class Outcome:
    """
    What became of a candidate.

    Attributes:
        manifest: It, with its gates and figures.
        announcement: Where it serves; None if a gate refused it.
    """

    manifest: Manifest
    announcement: ReleaseAnnouncement | None


class Workshop:
    """
    Makes candidates of a file.

    Args:
        kafka: Where the live release is announced.
        shared: The store, and the topics' prefix.
        data: The file.
        pace: How long and how fast it is learned.
        max_length: The longest input in tokens; None: as the live release's.
        picture: Where the losses are drawn, if anywhere.
        view: Shows how far it is.

    Attributes:
        announcing: A candidate has passed its gates, and is being published.

    Raises:
        ConfigurationError: The picture could not be written, or the file is wrong.
        ReleaseMissing: No release is live.
        ReleaseRefused: Nothing may take the place of the live release.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        shared: SharedSettings,
        data: Path,
        pace: Pace,
        max_length: int | None,
        picture: Path | None,
        view: View,
    ) -> None:
        if picture is not None:
            check_picture(picture)
        self._kafka, self._shared = kafka, shared
        self.announcing = False
        self._settings = load(TrainerSettings)
        self._data, self._pace, self._picture, self._view = data, pace, picture, view
        self._rows = rows_of(data)
        self._releases = Releases(shared.cache, self._settings.threads)
        self._live = self._current()
        self._max_length = max_length or self._live.manifest.max_length
        labels = self._live.manifest.labels
        self._lessons = Lessons.of(self._rows, labels, self._settings.holdout_share)
        check_labels(self._lessons.classes)

    def fine_tune(self, base: str | None) -> Outcome:
        """
        Fine-tune a base on the file.

        Args:
            base: As for `base import`; None: the encoder of the live release.

        Raises:
            ConfigurationError: The base or the file is wrong.
            RoomstreamError: It diverged, or the export computes something else.
        """
        self._view.say(f"Loading {base or 'the encoder of the live release'}")
        source = self._live_encoder() if base is None else load_source(base)
        lessons = self._lessons
        self._tell_unseen(lessons)
        origin = self._origin(
            source,
            base_model=base or self._live.manifest.base_model,
            learner="fine-tuned",
            why=f"on {self._data.name}",
            lineage=self._inherited() if base is None else Lineage(),
        )
        listings = lessons.tokenised(Tokenizer(source.tokenizer_json, self._max_length))
        return self._conclude(
            Transfer(source.encoder, listings, LABELS_ALONE, self._pace), lessons, origin
        )

    def distil(self, folder: Path, student: str, shares: Shares) -> Outcome:
        """
        Let a teacher teach a student on the file.

        Args:
            folder: The teacher.
            student: `layers`, or as for `base import`.
            shares: What is minimised.

        Raises:
            ConfigurationError: The teacher, the student or the file is wrong.
            RoomstreamError: It diverged, or the export computes something else.
        """
        self._view.say(f"Loading {folder}")
        teacher = Teacher(folder)
        self._check_labels(teacher)
        source = teacher.student() if student == LAYERS else load_source(student)
        classes = dict.fromkeys([*self._live.manifest.labels, *teacher.labels])
        lessons = replace(self._lessons, classes=list(classes))
        self._tell_unseen(lessons)
        origin = self._origin(
            source,
            base_model=f"layers of {folder}" if student == LAYERS else student,
            learner="distilled",
            why=f"distilled from {folder.name} on {self._data.name}",
        )
        texts = [row.text for row in lessons.taught]
        with self._view.reading(len(texts)) as progress:
            pooling = source.encoder.pooling
            taught = teacher.teach(texts, lessons.classes, pooling, self._max_length, progress)
        width = source.encoder.model.config.dim
        if shares.cosine and teacher.dimensions != width:
            self._view.say(
                f"The cosine is left out: the teacher's hidden states have {teacher.dimensions} numbers, "
                f"the student's {width}"
            )
            shares = replace(shares, cosine=0)
        tokenizer = Tokenizer(source.tokenizer_json, self._max_length)
        listings = lessons.tokenised(tokenizer, taught.logits)
        training = Transfer(source.encoder, listings, shares, self._pace, taught.states)
        return self._conclude(training, lessons, origin)

    def _conclude(self, training: Transfer, lessons: Lessons, origin: Origin) -> Outcome:
        with self._view.training(training.steps) as show:
            while not training.stopped:
                training.advance()
                show(training)
        if self._picture:
            title = f"{origin.learner.capitalize()}: {origin.base_model}, {self._data.name}"
            save(draw(training.curve, training.best_step, title), self._picture)
        self._view.say("Exporting, and comparing with the original")
        live = self._current()
        if new := set(live.manifest.labels) - set(lessons.classes):
            raise ReleaseRefused(
                f"Release {live.manifest.release} went live meanwhile and knows "
                f"{', '.join(sorted(new))} too, which this candidate does not. Run it again."
            )
        candidate = candidate_of(training, lessons, origin, live, self._pace.seed)
        self._view.say(f"Judging by {len(lessons.held_out):,} listings that were held out")
        manifest = judged(candidate.classifier, live, lessons, self._settings)
        if not all(result.passed for result in manifest.evaluation):
            return Outcome(manifest, None)
        return Outcome(manifest, self._announce(manifest, candidate, live))

    def _announce(
        self, manifest: Manifest, candidate: Candidate, live: LiveRelease
    ) -> ReleaseAnnouncement:
        """Publish it; it goes live, or on trial where a running trainer would put it there."""
        self.announcing = True
        settings = self._settings
        Store(self._shared.store).publish(manifest, candidate.parts.values())
        why = f"{manifest.learner} {manifest.fine_tuning.why if manifest.fine_tuning else ''}"
        if settings.promotion == "direct" or live.manifest.learner == "untrained":
            return put_on_channel(self._kafka, self._shared, manifest.release, why[:1_000])
        return put_on_channel(
            self._kafka,
            self._shared,
            manifest.release,
            why[:1_000],
            channel=settings.promotion,
            share=settings.challenger_share,
        )

    def _current(self) -> LiveRelease:
        """The live release, which may have changed since it was asked for last."""
        announcement = live_announcement(self._kafka, self._shared)
        if announcement is None:
            raise ReleaseMissing(
                "No release is live: there is nothing to compare a candidate with. Run "
                "'roomstream base import' first."
            )
        if announcement.pinned:
            raise ReleaseRefused(
                f"Release {announcement.release} is live and pinned: nothing may take its place. "
                f"Unpin it with 'roomstream releases promote {announcement.release}', and try again."
            )
        return self._releases.load(announcement)

    def _live_encoder(self) -> Source:
        manifest, announcement = self._live.manifest, self._live.announcement
        if WEIGHTS not in manifest.blobs:
            raise ConfigurationError(
                f"The live release {manifest.release} has no {WEIGHTS}: its encoder cannot be trained. "
                "Name another base, such as --base minilm."
            )
        weights = self._releases.fetch(announcement, manifest.blobs[WEIGHTS])
        tokenizer_json = self._releases.fetch(announcement, manifest.blobs[TOKENIZER])
        return Source(encoder_of_weights(weights), tokenizer_json)

    def _inherited(self) -> Lineage:
        """What the live encoder has seen, as far as its release says."""
        lineage = self._live.manifest.lineage
        return msgspec.structs.replace(lineage, labels_by_class={}, deleted_since=[])

    def _tell_unseen(self, lessons: Lessons) -> None:
        unseen = [label for label in lessons.classes if not lessons.learned[label]]
        if unseen:
            self._view.say(f"{self._data.name} teaches nothing of {', '.join(unseen)}")

    def _check_labels(self, teacher: Teacher) -> None:
        check_labels(teacher.labels)
        if strange := {row.label for row in self._rows} - set(teacher.labels):
            raise ConfigurationError(
                f"{self._data} has the labels {', '.join(sorted(strange))}, which the teacher does not "
                f"know; it knows {', '.join(teacher.labels)}. Rename one of them: the teacher's stand "
                "under id2label in its config.json."
            )

    def _origin(
        self,
        source: Source,
        base_model: str,
        learner: Literal["fine-tuned", "distilled"],
        why: str,
        lineage: Lineage = Lineage(),  # noqa: B008 - it cannot be changed
    ) -> Origin:
        check_length(self._max_length, source.encoder.model.config.max_position_embeddings)
        return Origin(
            source.tokenizer_json, self._max_length, base_model, learner, why[:300], lineage
        )
