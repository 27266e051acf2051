"""A worker needs neither torch nor transformers."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FORBIDDEN = {"torch", "transformers", "onnx"}


def _closure(extra: str) -> set[str]:
    """Every distribution that `roomstream[extra]` needs, as installed here."""
    found: set[str] = set()
    waiting = [("roomstream", frozenset({extra}))]
    while waiting:
        name, extras = waiting.pop()
        for text in metadata.requires(name) or ():
            needed = Requirement(text)
            environments = [{"extra": wanted} for wanted in (*extras, "")]
            if needed.marker and not any(map(needed.marker.evaluate, environments)):
                continue
            key = canonicalize_name(needed.name)
            if key not in found:
                found.add(key)
                waiting.append((key, frozenset(needed.extras)))
    return found


@pytest.fixture(scope="module")
def worker_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds what `pip install 'roomstream[worker]'` installs, and no more."""
    folder = tmp_path_factory.mktemp("worker")
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=120
    )
    (site,) = folder.glob("lib/python*/site-packages")
    for name in {*_closure("worker"), "roomstream"}:
        try:
            files = metadata.files(name)
        except metadata.PackageNotFoundError:
            continue  # an optional one that this platform does not need
        for file in files or ():
            _link(Path(str(file.locate())), site, Path(str(file)))
    return folder / "bin" / "python"


def _link(source: Path, site: Path, name: Path) -> None:
    if ".." in name.parts or not source.is_file():
        return
    target = site / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        target.symlink_to(source)


def test_the_worker_extra_needs_no_torch() -> None:
    """Nothing that the extra `worker` requires requires torch, transformers or onnx."""
    assert set() == _closure("worker") & FORBIDDEN


def test_a_worker_runs_without_torch(worker_python: Path) -> None:
    """In an environment of the extra `worker` alone, every module of the worker can be imported."""
    code = (
        "import json, sys, importlib.util as u;"
        "import workers.service, workers.faust_delivery, roomstream.cli;"
        f"print(json.dumps([n for n in {sorted(FORBIDDEN)!r} if u.find_spec(n)]))"
    )
    done = subprocess.run(
        [worker_python, "-I", "-c", code], capture_output=True, text=True, timeout=120
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_the_command_of_a_worker_says_what_else_needs(worker_python: Path) -> None:
    """There, `roomstream worker` starts, and `roomstream trainer` names the extra that it lacks."""
    for arguments, says in ((["worker", "--help"], "WORKER_SLOT"), (["--version"], "roomstream")):
        done = subprocess.run(
            [worker_python, "-I", "-m", "roomstream", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
        )

        assert done.returncode == 0, done.stderr
        assert says in done.stdout
