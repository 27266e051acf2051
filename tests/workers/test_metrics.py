"""What a worker shows to Prometheus, as it is scraped."""

import re
from pathlib import Path

from prometheus_client import generate_latest

from workers.metrics import WorkerMetrics

_DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


def test_counters_show_zero_before_anything_happened() -> None:
    """Rates and alerts need the 0 before the first 1, for every outcome, stage, reason and kind."""
    lines = generate_latest(WorkerMetrics().registry).decode().splitlines()
    zeros = [
        *(f'events_total{{outcome="{x}"}}' for x in ("classified", "dead", "skipped")),
        *(f'dead_letters_total{{stage="{x}"}}' for x in ("decode", "infer")),
        *(f'review_requests_total{{reason="{x}"}}' for x in ("uncertain", "random")),
        *(f'tokens_total{{kind="{x}"}}' for x in ("real", "padded")),
        *(f'reloads_total{{outcome="{x}"}}' for x in ("initial", "loaded", "refused")),
    ]

    assert [zero for zero in zeros if f"roomstream_worker_{zero} 0.0" not in lines] == []


def test_the_document_names_every_metric_and_no_other() -> None:
    """docs/metrics.md and the registry agree on names."""
    registry = WorkerMetrics().registry
    found = {
        metric.name + ("_total" if metric.type == "counter" else "")
        for metric in registry.collect()
    }
    documented = set(re.findall(r"^\| `(roomstream_worker_\w+)`", _DOCUMENT.read_text(), re.M))

    assert documented == found


def test_two_workers_in_one_process_count_apart() -> None:
    """Each has a registry of its own."""
    ours, theirs = WorkerMetrics(), WorkerMetrics()
    ours.events.labels("classified").inc(3)

    assert (
        ours.registry.get_sample_value("roomstream_worker_events_total", {"outcome": "classified"})
        == 3
    )
    assert (
        theirs.registry.get_sample_value(
            "roomstream_worker_events_total", {"outcome": "classified"}
        )
        == 0
    )
