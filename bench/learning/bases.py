"""The encoder that a stream begins with: tuned on its beginning only, and kept for the next run."""

import hashlib
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer as FastTokenizer
from transformers import PreTrainedTokenizerFast

from artefacts.tokenisation import Tokenizer
from bench.learning.finetuning import Network, Step, fine_tune
from bench.learning.rows import Row
from trainer.encoders import PooledEncoder
from trainer.sources import load_source

MAX_LENGTH = 64  # tokens, as 'roomstream base import' has it


@dataclass(frozen=True)
class Start:
    """
    A model to begin with.

    Attributes:
        source: What `load_source` knows it as.
        network: It, with a head of the stream's classes.
        tokenizer: Its tokenizer.
        cpu_seconds: What tuning it cost; 0 for the model as it came.
    """

    source: str
    network: Network
    tokenizer: Tokenizer
    cpu_seconds: float = 0.0

    def tokens(self, texts: Sequence[str]) -> list[Sequence[int]]:
        """Token ids of texts."""
        return [text.ids for text in self.tokenizer.encode(texts)]


def untuned(source: str, classes: int, seed: int) -> Start:
    """
    Load a model as it came, with a random head.

    Raises:
        ConfigurationError: It cannot be loaded.
    """
    loaded = load_source(source)
    torch.manual_seed(seed)
    network = Network(PooledEncoder(loaded.encoder.model, "mean"), classes)
    return Start(source, network, Tokenizer(loaded.tokenizer_json, MAX_LENGTH))


def tuned(
    source: str, rows: Sequence[Row], classes: Sequence[str], seed: int, kept: Path, step: Step
) -> Start:
    """
    Tune a model on some rows, or take it from an earlier run that did.

    Args:
        source: The model before.
        rows: What it is tuned on.
        classes: Of its head.
        seed: Of everything random.
        kept: The folder that keeps tuned models, by digest of all that decides them.
        step: Called with how many steps are done, and how many there are.
    """
    start = untuned(source, len(classes), seed)
    folder = kept / _digest(source, rows, classes, seed)
    if not folder.exists():
        started = time.process_time()
        targets = [classes.index(row.label) for row in rows]
        fine_tune(start.network, start.tokens([row.text for row in rows]), targets, seed, step)
        _save(start, load_source(source).tokenizer_json, folder, time.process_time() - started)
    again = untuned(str(folder), len(classes), seed)
    again.network.head.load_state_dict(torch.load(folder / "head.pt", weights_only=True))
    cost = json.loads((folder / "cost.json").read_text())["cpu_seconds"]
    return Start(again.source, again.network, again.tokenizer, cost)


def _save(start: Start, tokenizer_json: bytes, folder: Path, cpu_seconds: float) -> None:
    """Write a folder that `roomstream base import` takes, under its name only when it is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=folder.parent))
    start.network.encoder.model.save_pretrained(made)
    kind: Any = PreTrainedTokenizerFast
    kind(
        tokenizer_object=FastTokenizer.from_str(tokenizer_json.decode()),
        unk_token="[UNK]",  # noqa: S106 - no password
        pad_token="[PAD]",  # noqa: S106
        cls_token="[CLS]",  # noqa: S106
        sep_token="[SEP]",  # noqa: S106
        mask_token="[MASK]",  # noqa: S106
    ).save_pretrained(made)
    torch.save(start.network.head.state_dict(), made / "head.pt")
    (made / "cost.json").write_text(json.dumps({"cpu_seconds": cpu_seconds}))
    try:
        made.replace(folder)
    except OSError:  # another process was first, with the same
        if not folder.exists():
            raise


def _digest(source: str, rows: Sequence[Row], classes: Sequence[str], seed: int) -> str:
    recipe = Path(__file__).with_name("finetuning.py").read_text()
    taught = [(row.text, row.label) for row in rows]
    decides = json.dumps([recipe, source, list(classes), seed, taught])
    return hashlib.sha256(decides.encode()).hexdigest()[:32]
