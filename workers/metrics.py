"""What a worker tells Prometheus. docs/metrics.md explains every one."""

import math
from collections import Counter as Counted
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from workers.outcomes import Window

_STAGE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class WorkerMetrics:
    """All metrics of one worker on a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.events = Counter(
            "roomstream_worker_events",
            "Listing events handled, by outcome: classified, dead or skipped.",
            ["outcome"],
            registry=self.registry,
        )
        self.dead_letters = Counter(
            "roomstream_worker_dead_letters",
            "Events sent to the dead-letter topic, by the stage that they failed in.",
            ["stage"],
            registry=self.registry,
        )
        self.reviews = Counter(
            "roomstream_worker_review_requests",
            "Answers that ask a person to look, by reason: uncertain or random.",
            ["reason"],
            registry=self.registry,
        )
        self.review_entropy = Gauge(
            "roomstream_worker_review_entropy_nats",
            "Answers above this entropy ask for review, by the budget; not a number without one.",
            registry=self.registry,
        )
        self.explored = Counter(
            "roomstream_worker_explored",
            "Answers that show another label than the release's best.",
            registry=self.registry,
        )
        self.stage_seconds = Histogram(
            "roomstream_worker_stage_duration_seconds",
            "Time per window, by stage: decode, tokenise, infer, challenger or deliver.",
            ["stage"],
            buckets=_STAGE_BUCKETS,
            registry=self.registry,
        )
        self.tokens = Counter(
            "roomstream_worker_tokens",
            "Tokens through the encoder: real ones, and all with padding.",
            ["kind"],
            registry=self.registry,
        )
        self.texts = Counter(
            "roomstream_worker_texts",
            "Texts of listings: run through the encoder, or remembered since they came before.",
            ["how"],
            registry=self.registry,
        )
        self.window = Gauge(
            "roomstream_worker_window_events",
            "The most events of the next window, by the latency budget and what waits.",
            registry=self.registry,
        )
        self.lag = Gauge(
            "roomstream_worker_lag_events",
            "Events of a partition that are not answered yet, for assigned partitions.",
            ["partition"],
            registry=self.registry,
        )
        self.live_release = Gauge(
            "roomstream_worker_live_release_info",
            "1 for the release that answers now.",
            ["release"],
            registry=self.registry,
        )
        self.reloads = Counter(
            "roomstream_worker_reloads",
            "Releases announced, by outcome: initial, loaded, refused or stale.",
            ["outcome"],
            registry=self.registry,
        )
        self.reload_seconds = Histogram(
            "roomstream_worker_reload_duration_seconds",
            "Time to fetch, check and load a release, while the old one serves.",
            buckets=_STAGE_BUCKETS,
            registry=self.registry,
        )
        self.circuit_open = Gauge(
            "roomstream_worker_circuit_open",
            "1 while so many listings fail that none is delivered, else 0.",
            registry=self.registry,
        )
        self.circuit_trips = Counter(
            "roomstream_worker_circuit_trips",
            "How often the circuit opened.",
            registry=self.registry,
        )
        self.challenger = Gauge(
            "roomstream_worker_challenger_share_ratio",
            "The share of listings that a release on channel canary or shadow takes here.",
            ["channel", "release"],
            registry=self.registry,
        )
        self.challengers = Counter(
            "roomstream_worker_challengers",
            "Releases announced on channel canary or shadow, by outcome: loaded or refused, then ended, "
            "failed or slow.",
            ["channel", "outcome"],
            registry=self.registry,
        )
        self.challenger_listings = Counter(
            "roomstream_worker_challenger_listings",
            "Listings that a challenger took, by outcome: answered (canary), agrees or differs (shadow), "
            "or failed.",
            ["channel", "outcome"],
            registry=self.registry,
        )
        self.feature_distance = Gauge(
            "roomstream_worker_feature_distance_ratio",
            "How far the last listings are from those that this worker saw first with this encoder: the "
            "largest Kolmogorov-Smirnov distance on a principal component of features.",
            registry=self.registry,
        )
        self.feature_chance = Gauge(
            "roomstream_worker_feature_chance_ratio",
            "The chance of such a distance on any component if nothing has changed; not a number before "
            "there is enough to compare.",
            registry=self.registry,
        )
        self.feature_chance.set(math.nan)
        self.review_entropy.set(math.nan)
        self._lags: set[int] = set()
        self._show_zeros()

    def _show_zeros(self) -> None:
        """A counter that was never raised is 0, not absent: rates and alerts need it."""
        values = {
            self.events: ("classified", "dead", "skipped"),
            self.reloads: ("initial", "loaded", "refused", "stale"),
            self.dead_letters: ("decode", "infer"),
            self.reviews: ("uncertain", "random"),
            self.tokens: ("real", "padded"),
            self.texts: ("run", "remembered"),
        }
        for counter, labels in values.items():
            for label in labels:
                counter.labels(label)
        for channel in ("canary", "shadow"):
            for outcome in ("loaded", "refused", "ended", "failed", "slow"):
                self.challengers.labels(channel, outcome)

    def count(self, window: Window, next_size: int) -> None:
        """Count a window that was delivered; `next_size` is the most events of the next one."""
        ends = Counted((outcome.kind, outcome.detail) for outcome in window.outcomes)
        for (kind, detail), events in ends.items():
            self.events.labels(kind).inc(events)
            if kind == "dead":
                self.dead_letters.labels(detail).inc(events)
            elif detail:
                self.reviews.labels(detail).inc(events)
        self.review_entropy.set(window.review_entropy)
        self.explored.inc(sum(outcome.explored for outcome in window.outcomes))
        for stage, seconds in window.stage_seconds.items():
            self.stage_seconds.labels(stage).observe(seconds)
        for (channel, outcome), listings in window.tried().items():
            self.challenger_listings.labels(channel, outcome).inc(listings)
        for encoded in window.encoded:
            self.tokens.labels("real").inc(encoded.real_tokens)
            self.tokens.labels("padded").inc(encoded.padded_tokens)
            self.texts.labels("remembered").inc(encoded.remembered)
            self.texts.labels("run").inc(len(encoded.features) - encoded.remembered)
        self.window.set(next_size)

    def show_lags(self, lags: Mapping[int, int]) -> None:
        """Show the lag of every assigned partition, and of no other."""
        for partition in self._lags - lags.keys():
            self.lag.remove(str(partition))
        for partition, lag in lags.items():
            self.lag.labels(str(partition)).set(lag)
        self._lags = set(lags)
