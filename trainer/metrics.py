"""What the trainer tells Prometheus. docs/metrics.md explains every one."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_PUBLISH_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LABEL_TO_LIVE_BUCKETS = (0.5, 1, 2, 3, 5, 10, 30, 60, 300, 3600)


class TrainerMetrics:
    """All metrics of one trainer on a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.events = Counter(
            "roomstream_trainer_events",
            "Messages handled, by outcome: learned, held_out, suspect, repeated, objection, deletion, "
            "dead or skipped.",
            ["outcome"],
            registry=self.registry,
        )
        self.labels = Counter(
            "roomstream_trainer_labels",
            "Labels taken in (learned or held out), by label and origin.",
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
            "Share of the last labels that the learner had predicted before it learned them.",
            registry=self.registry,
        )
        self.recall = Gauge(
            "roomstream_trainer_class_recall_ratio",
            "The same for the labels of one class; not a number while none of them is among the last.",
            ["label"],
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
            "Candidates, by outcome: announced, refused or postponed.",
            ["outcome"],
            registry=self.registry,
        )
        self.gates = Counter(
            "roomstream_trainer_gate_results",
            "Conditions that candidates had to meet, by outcome: passed or failed.",
            ["gate", "outcome"],
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
        self._show_zeros()

    def _show_zeros(self) -> None:
        """A counter that was never raised is 0, not absent: rates and alerts need it."""
        for counter, outcomes in (
            (self.events, "learned held_out suspect repeated objection deletion dead skipped"),
            (self.dead_letters, "decode label encode"),
            (self.trials, "released held_back"),
            (self.releases, "announced refused postponed"),
            (self.snapshots, "kept failed damaged"),
        ):
            for outcome in outcomes.split():
                counter.labels(outcome)
        for outcome in ("agrees", "disagrees"):
            self.annotators.labels("others", outcome)
        for gate in ("enough_labels", "accuracy", "recall"):
            for outcome in ("passed", "failed"):
                self.gates.labels(gate, outcome)
