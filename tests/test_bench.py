"""The benchmarks run and report every way that they compare."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from roomstream.brokers import Broker

ROOT = Path(__file__).resolve().parents[1]


def reported(report: Path, name: str, *arguments: str) -> dict[str, Any]:
    """Run a benchmark as `make` does; its figures."""
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{name}", *arguments, "--json", str(report)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert "processor" in done.stdout
    figures: dict[str, Any] = json.loads(report.read_text())["figures"]
    return figures


def test_the_delivery_benchmark_reports_ratios(tmp_path: Path, kafka_node: Broker) -> None:
    """Few events, one round: the plain way at 1, and a share for each engine and window."""
    figures = reported(
        tmp_path / "bench.json",
        "delivery",
        *("--bootstrap-servers", kafka_node.bootstrap_servers),
        *("--events", "500", "--rounds", "1", "--windows", "100"),
    )
    plain, *others = (row["share_of_plain"] for row in figures.values())

    assert plain == 1
    assert len(others) == 2
    assert min(others) > 0


def test_the_audit_benchmark_finds_its_own_work_whole(tmp_path: Path, kafka_node: Broker) -> None:
    """Answers, dead letters and tombstones are all accounted for."""
    figures = reported(
        tmp_path / "bench.json",
        "audit",
        *("--bootstrap-servers", kafka_node.bootstrap_servers, "--events", "5000"),
    )

    assert figures["whole"]
    assert figures["seconds"] > 0
    assert figures["peak_megabytes"] > 0
