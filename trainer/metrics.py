"""What the trainer tells Prometheus. docs/metrics.md explains every one."""

import math

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from trainer.gate import GATES

OPINIONS = ("accepted", "rejected", "passed_over")
_PUBLISH_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LABEL_TO_LIVE_BUCKETS = (0.5, 1, 2, 3, 5, 10, 30, 60, 300, 3600)


class TrainerMetrics:
    """All metrics of one trainer on a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.events = Counter(
            "roomstream_trainer_events",
            "Messages handled, by outcome: learned, held_out, suspect, repeated, accepted, rejected, "
            "passed_over, deletion, forgotten, dead or skipped.",
            ["outcome"],
            registry=self.registry,
        )
        self.labels = Counter(
            "roomstream_trainer_labels",
            "Labels taken in (learned or held out), by label and origin; feedback: accepted ones that "
            "were learned.",
            ["label", "origin"],
            registry=self.registry,
        )
        self.dead_letters = Counter(
            "roomstream_trainer_dead_letters",
            "Messages sent to the dead-letter topic, by the stage that they failed in.",
            ["stage"],
            registry=self.registry,
        )
        self.lag = Gauge(
            "roomstream_trainer_lag_events",
            "Messages of a partition that are not learned yet.",
            ["topic", "partition"],
            registry=self.registry,
        )
        self.step_seconds = Histogram(
            "roomstream_trainer_step_duration_seconds",
            "Time to encode, predict, learn and store one mini-batch.",
            buckets=_PUBLISH_BUCKETS,
            registry=self.registry,
        )
        self.accuracy = Gauge(
            "roomstream_trainer_prequential_accuracy_ratio",
            "Share of the labels that the learner had predicted before it learned them; span window: of "
            "the last ones, start: of all.",
            ["span"],
            registry=self.registry,
        )
        self.macro_f1 = Gauge(
            "roomstream_trainer_prequential_macro_f1_ratio",
            "The mean over the classes of F1 of these predictions.",
            ["span"],
            registry=self.registry,
        )
        self.recall = Gauge(
            "roomstream_trainer_class_recall_ratio",
            "Share of the labels of one class that were predicted; not a number while there is none.",
            ["label", "span"],
            registry=self.registry,
        )
        self.best_recall = Gauge(
            "roomstream_trainer_class_best_recall_ratio",
            "The best recall of a class in any window with enough labels of it.",
            ["label"],
            registry=self.registry,
        )
        self.class_forgetting = Gauge(
            "roomstream_trainer_class_forgetting_ratio",
            "The best recall of a class less its last one.",
            ["label"],
            registry=self.registry,
        )
        self.domain_accuracy = Gauge(
            "roomstream_trainer_domain_accuracy_ratio",
            "Share of the labels of one source or language that were predicted; the 50 commonest.",
            ["domain", "span"],
            registry=self.registry,
        )
        self.best_accuracy = Gauge(
            "roomstream_trainer_domain_best_accuracy_ratio",
            "The best accuracy on a domain in any window with enough labels of it.",
            ["domain"],
            registry=self.registry,
        )
        self.domain_forgetting = Gauge(
            "roomstream_trainer_domain_forgetting_ratio",
            "The best accuracy on a domain less the last one.",
            ["domain"],
            registry=self.registry,
        )
        self.mixture = Gauge(
            "roomstream_trainer_mixture_weight",
            "How much a member of the mixture counts; the weights sum to 1.",
            ["member"],
            registry=self.registry,
        )
        self.replay = Gauge(
            "roomstream_trainer_replay_items",
            "Listings in the replay buffer, by label.",
            ["label"],
            registry=self.registry,
        )
        self.replay_domains = Gauge(
            "roomstream_trainer_replay_domain_items",
            "Listings in the replay buffer, by where they come from (source, or else language).",
            ["domain"],
            registry=self.registry,
        )
        self.holdout = Gauge(
            "roomstream_trainer_holdout_items",
            "Listings that releases are judged by and that are never learned.",
            registry=self.registry,
        )
        self.suspects = Gauge(
            "roomstream_trainer_suspects",
            "Labels that are held back because they contradict what the learner is sure of.",
            registry=self.registry,
        )
        self.trials = Counter(
            "roomstream_trainer_suspect_trials",
            "Trials of many suspects, by outcome: released (they are news, and were learned) or "
            "held_back.",
            ["outcome"],
            registry=self.registry,
        )
        self.annotators = Counter(
            "roomstream_trainer_annotator_labels",
            "Labels by annotator, and whether they contradict another annotator's label of the same "
            "listing or a confident prediction: agrees or disagrees.",
            ["annotator", "outcome"],
            registry=self.registry,
        )
        self.releases = Counter(
            "roomstream_trainer_releases",
            "Candidates, by outcome: announced, challenger, refused or postponed.",
            ["outcome"],
            registry=self.registry,
        )
        self.gates = Counter(
            "roomstream_trainer_gate_results",
            "Conditions that candidates had to meet, by outcome: passed or failed.",
            ["gate", "outcome"],
            registry=self.registry,
        )
        self.promotions = Counter(
            "roomstream_trainer_promotions",
            "What labels decided: a challenger was promoted or dropped, or a live release rolled back.",
            ["outcome"],
            registry=self.registry,
        )
        self.drifts = Counter(
            "roomstream_trainer_drifts",
            "How often the prequential error of a domain rose for good, by what has seen it.",
            ["detector"],
            registry=self.registry,
        )
        self.drift_pending = Gauge(
            "roomstream_trainer_drift_pending",
            "1 while nothing was done yet about the last of them.",
            registry=self.registry,
        )
        self.pairs = Gauge(
            "roomstream_trainer_compared_labels",
            "Labels on which two were compared, the challenger with the live release (duel), that with "
            "the last that proved itself (guard), or the learner with the live one (lead): wins, losses "
            "or ties of the former.",
            ["comparison", "outcome"],
            registry=self.registry,
        )
        self.gate_figure = Gauge(
            "roomstream_trainer_gate_figure",
            "What the last candidate showed at each gate.",
            ["gate", "figure"],
            registry=self.registry,
        )
        self.quality = Gauge(
            "roomstream_trainer_candidate_quality",
            "The last candidate on the hold-out: accuracy, macro_f1, log_loss, calibration_error, and "
            "the temperature that was fitted.",
            ["figure"],
            registry=self.registry,
        )
        self.publish_seconds = Histogram(
            "roomstream_trainer_publish_duration_seconds",
            "Time to export, judge, publish and announce a release.",
            buckets=_PUBLISH_BUCKETS,
            registry=self.registry,
        )
        self.label_to_live_seconds = Histogram(
            "roomstream_trainer_label_to_live_seconds",
            "Time from a label's arrival on Kafka to the announcement of a release that learned it.",
            buckets=_LABEL_TO_LIVE_BUCKETS,
            registry=self.registry,
        )
        self.live_release = Gauge(
            "roomstream_trainer_live_release_info",
            "1 for the release that is live.",
            ["release"],
            registry=self.registry,
        )
        self.leader = Gauge(
            "roomstream_trainer_leader",
            "1 while this trainer leads, 0 while it stands by.",
            registry=self.registry,
        )
        self.epoch = Gauge(
            "roomstream_trainer_epoch",
            "The epoch under which this trainer leads; 0 while it stands by.",
            registry=self.registry,
        )
        self.snapshots = Counter(
            "roomstream_trainer_snapshots",
            "Snapshots of the database, by outcome: kept or failed; damaged: passed over at a takeover.",
            ["outcome"],
            registry=self.registry,
        )
        self.snapshot_seconds = Histogram(
            "roomstream_trainer_snapshot_duration_seconds",
            "Time to copy the database and to put it into the store, while learning goes on.",
            buckets=_PUBLISH_BUCKETS,
            registry=self.registry,
        )
        self.snapshot_at = Gauge(
            "roomstream_trainer_last_snapshot_timestamp_seconds",
            "When this trainer took its last snapshot, in seconds since 1970; 0 before the first.",
            registry=self.registry,
        )
        self.finetuning = Gauge(
            "roomstream_trainer_finetuning",
            "1 while the encoder is fine-tuned, from its trigger to its end, else 0.",
            registry=self.registry,
        )
        self.finetune_step = Gauge(
            "roomstream_trainer_finetune_step",
            "Mini-batches that the fine-tuning in hand, or the last one, has learned.",
            registry=self.registry,
        )
        self.finetune_loss = Gauge(
            "roomstream_trainer_finetune_loss",
            "Its mean log loss when it was last evaluated; split: training or validation.",
            ["split"],
            registry=self.registry,
        )
        self.finetune_cpu_seconds = Counter(
            "roomstream_trainer_finetune_cpu_seconds",
            "Processor time that fine-tuning took.",
            registry=self.registry,
        )
        self.finetunes = Counter(
            "roomstream_trainer_finetunes",
            "Fine-tunings that ended, by outcome: announced, refused, abandoned or failed.",
            ["outcome"],
            registry=self.registry,
        )
        self._show_zeros()

    def _show_zeros(self) -> None:
        """A counter that was never raised is 0, not absent: rates and alerts need it."""
        for counter, outcomes in (
            (
                self.events,
                "learned held_out suspect repeated forgotten deletion dead skipped "
                + " ".join(OPINIONS),
            ),
            (self.dead_letters, "decode label encode"),
            (self.trials, "released held_back"),
            (self.releases, "announced challenger refused postponed"),
            (self.drifts, "HDDM_W Page-Hinkley"),
            (self.promotions, "promoted dropped rolled_back"),
            (self.finetunes, "announced refused abandoned failed"),
            (self.snapshots, "kept failed damaged"),
        ):
            for outcome in outcomes.split():
                counter.labels(outcome)
        for split in ("training", "validation"):
            self.finetune_loss.labels(split).set(math.nan)
        for outcome in ("agrees", "disagrees"):
            self.annotators.labels("others", outcome)
        for gate in GATES:
            for outcome in ("passed", "failed"):
                self.gates.labels(gate, outcome)
