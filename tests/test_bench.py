"""The benchmark runs and reports every way that it compares."""

import json
import subprocess
import sys
from pathlib import Path

SERVING = Path(__file__).resolve().parents[1] / "bench" / "serving.py"


def test_the_serving_benchmark_reports_ratios(tmp_path: Path) -> None:
    """Few texts, one round: the JSON holds the ceiling at 1 and a share for each other way."""
    report = tmp_path / "bench.json"
    command = [
        sys.executable,
        str(SERVING),
        "--texts",
        "24",
        "--rounds",
        "1",
        "--json",
        str(report),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    figures = json.loads(report.read_text())["figures"]
    ceiling, *others = (row["share_of_ceiling"] for row in figures.values())

    assert ceiling == 1
    assert len(others) == 3
    assert min(others) > 0
