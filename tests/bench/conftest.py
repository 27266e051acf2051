"""The benchmarks are not part of the wheel: they are imported from the checkout, and nothing else is."""

import importlib.util
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "bench"

_spec = importlib.util.spec_from_file_location(
    "bench", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
)
assert _spec is not None
assert _spec.loader is not None
sys.modules["bench"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sys.modules["bench"])
