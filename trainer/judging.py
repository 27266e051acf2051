"""A candidate on the hold-out: how good it is, and whether it may take the place of what is live."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from artefacts.classifier import Classifier
from artefacts.graphs import Floats
from artefacts.manifest import Figure, GateResult, Lineage, Manifest, OffsetRange, Quality
from artefacts.tokenisation import Tokens
from trainer.baseline import Baseline
from trainer.calibration import Calibration, calibrate, prior_correction, stream_shares
from trainer.contest import lead
from trainer.database import Database
from trainer.evaluation import (
    Answers,
    Bootstrap,
    Flags,
    Truth,
    calibration_error,
    interval,
    log_loss,
    losses,
    macro_f1,
    mean,
    share_by,
)
from trainer.gate import (
    LEAST_HELD_OUT,
    Bounds,
    enough_held_out,
    judge,
    judge_erosion,
    judge_first,
)
from trainer.kept import Items
from trainer.learners.base import Logits
from trainer.live import LiveRelease, Releases
from trainer.metrics import TrainerMetrics
from trainer.prequential import DOMAINS
from trainer.proved import Proved
from trainer.sequential import Pairs
from trainer.settings import TrainerSettings


@dataclass(frozen=True)
class HeldOut:
    """
    The hold-out when a candidate is made.

    Attributes:
        items: Its listings.
        tokens: Their tokens, one each.
        truth: What they are, weighted to the stream.
    """

    items: Items
    tokens: list[Tokens]
    truth: Truth

    def through(self, features: Floats) -> "HeldOut":
        """The same as another encoder sees it, float32 (items, dim)."""
        return replace(self, items=replace(self.items, features=features))

    def answers(self, classifier: Classifier) -> Answers:
        """What a release says of them."""
        _, probabilities = classifier.head.of_tokens(self.items.features, self.tokens)
        return Answers(classifier.manifest.labels, probabilities)


class Judging:
    """
    Decides about candidates.

    Args:
        database: Holds the hold-out, and what the baseline is fitted to.
        releases: Loads what else a candidate is compared with.
        settings: What a candidate must show.
        metrics: Where its figures are told.
    """

    def __init__(
        self,
        database: Database,
        releases: Releases,
        settings: TrainerSettings,
        metrics: TrainerMetrics,
    ) -> None:
        self._database = database
        self._settings = settings
        self._metrics = metrics
        self._baseline = Baseline(database)
        self._proved = Proved(database, releases)

    def holdout(self, live: LiveRelease) -> HeldOut:
        """The hold-out as it is now; its features are those of the live release's encoder."""
        items = self._database.kept.items(held_out=True)
        shares = stream_shares(self._database.seen())
        return HeldOut(items, live.classifier.tokenise(items.texts), Truth.of(items.labels, shares))

    def calibrate(self, classes: Sequence[str], logits: Logits, holdout: HeldOut) -> Calibration:
        """Fit temperature and prior correction of a learner, whose logits on the hold-out these are."""
        correction = prior_correction(self._database.seen())
        calibration = calibrate(classes, logits, holdout.truth, correction)
        self._metrics.quality.labels("temperature").set(calibration.temperature)
        return calibration

    def judge(
        self, candidate: Classifier, live: LiveRelease, holdout: HeldOut, seen: HeldOut
    ) -> Manifest:
        """
        Judge a candidate.

        Args:
            candidate: It.
            live: What it is compared with.
            holdout: What both are judged by, as the live encoder sees it.
            seen: The same as the candidate's encoder sees it.

        Returns:
            Its manifest with its quality, and with the result of every gate.
        """
        answers = seen.answers(candidate)
        lineage = candidate.manifest.lineage
        untrained = live.manifest.learner == "untrained"
        ours = live.manifest.release in self._database.candidates.made()
        trained_elsewhere = not (untrained or ours or _includes(lineage, live.manifest.lineage))
        results: list[GateResult] = []
        if untrained or trained_elsewhere:
            results += self._enough(lineage, live, len(holdout.truth), trained_elsewhere)
        if not untrained and all(result.passed for result in results):
            noise_items = 0 if trained_elsewhere else self._settings.noise_items
            # What the learner showed says nothing of one that was fitted to another encoder.
            fresh = not trained_elsewhere and candidate.manifest.fine_tuning is None
            results += self._compare(
                answers, live, holdout, noise_items, self._lead(live) if fresh else Pairs()
            )
        measured = quality(answers, holdout) if len(holdout.truth) else None
        self._tell(results, measured)
        return msgspec.structs.replace(candidate.manifest, evaluation=results, quality=measured)

    def _enough(
        self, lineage: Lineage, live: LiveRelease, held_out: int, trained_elsewhere: bool
    ) -> list[GateResult]:
        """Whether a first candidate has learned enough, and can be proved where there is a need to."""
        settings = self._settings
        results = judge_first(
            lineage.labels_by_class,
            live.manifest.labels,
            settings.first_labels_per_class,
            settings.first_labels,
        )
        if trained_elsewhere:
            least = min(LEAST_HELD_OUT, settings.holdout_size)
            results.append(enough_held_out(held_out, least))
        return results

    def _lead(self, live: LiveRelease) -> Pairs:
        found = lead(self._database)
        return found.pairs if found and found.release == live.manifest.release else Pairs()

    def _compare(
        self,
        answers: Answers,
        live: LiveRelease,
        holdout: HeldOut,
        noise_items: int,
        fresh: Pairs,
    ) -> list[GateResult]:
        settings = self._settings
        seen = self._database.seen()
        baseline = self._baseline.answers(
            holdout.items.texts,
            live.encoding,
            sum(each.labels for each in seen),
            stream_shares(seen),
        )
        bounds = bounds_of(settings, noise_items)
        of_live = holdout.answers(live.classifier)
        results = judge(holdout.truth, answers, of_live, baseline, bounds, fresh)
        proved = self._proved.beside(live)
        if proved and len(holdout.truth):
            of_proved = holdout.answers(proved.classifier)
            results.append(judge_erosion(holdout.truth, answers, of_live, of_proved, bounds))
        return results

    def _tell(self, results: Sequence[GateResult], measured: Quality | None) -> None:
        metrics = self._metrics
        metrics.gate_figure.clear()
        for result in results:
            metrics.gates.labels(result.gate, "passed" if result.passed else "failed").inc()
            for figure, value in result.figures.items():
                metrics.gate_figure.labels(result.gate, figure).set(value)
        if measured is not None:
            for figure in ("accuracy", "macro_f1", "log_loss", "calibration_error"):
                metrics.quality.labels(figure).set(getattr(measured, figure))


def _includes(ours: Lineage, theirs: Lineage) -> bool:
    """
    Whether one release learned from all that another one did.

    An imported head learned from nothing that is on our topics, and a new database has yet to learn what
    the live release did.
    """
    ranges = {(each.topic, each.partition): each for each in ours.ranges}

    def learned(first: int, following: int, found: OffsetRange | None) -> bool:
        return found is not None and found.first <= first and following <= found.next

    return bool(theirs.ranges) and all(
        learned(each.first, each.next, ranges.get((each.topic, each.partition)))
        for each in theirs.ranges
    )


def bounds_of(settings: TrainerSettings, noise_items: int) -> Bounds:
    """How much worse than the live release a candidate may be, where chance may cost so many listings."""
    return Bounds(
        settings.max_accuracy_loss,
        settings.max_recall_loss,
        settings.max_calibration_loss,
        settings.min_recall_items,
        noise_items,
    )


def quality(answers: Answers, holdout: HeldOut) -> Quality:
    """Measure a release on a hold-out of one listing at least."""
    truth = holdout.truth
    right = answers.right(truth)
    resamples = Bootstrap(truth)
    resampled = {
        "accuracy": resamples.means(right),
        "macro_f1": resamples.macro_f1(answers.said, truth),
        "log_loss": resamples.means(losses(answers, truth)),
        "calibration_error": resamples.calibration_errors(answers.confidence, right),
    }
    return Quality(
        items=len(truth),
        accuracy=mean(right, truth),
        macro_f1=macro_f1(answers.said, truth),
        log_loss=log_loss(answers, truth),
        calibration_error=calibration_error(answers.confidence, right, truth),
        intervals={figure: interval(found) for figure, found in resampled.items()},
        by_class=_figures(truth.labels, right),
        by_domain=_figures(holdout.items.domains, right, DOMAINS),
    )


def _figures(groups: Sequence[str], right: Flags, most: int | None = None) -> dict[str, Figure]:
    """The share of right answers in each group, or in so many of the largest."""
    found = share_by(groups, right)
    largest = sorted(found, key=lambda name: -found[name][1])[:most]
    return {name: Figure(*found[name]) for name in largest}
