"""A DistilBERT as an encoder: its graph from (input_ids, attention_mask) to features, and its weights."""

import io
import warnings
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from transformers import BertModel, DistilBertConfig, DistilBertModel

from artefacts.errors import ReleaseRefused
from artefacts.graphs import Encoder
from artefacts.tokenisation import Tokens
from schemas.errors import RoomstreamError

EXPORT_TOLERANCE = 1e-4

Pooling = Literal["mean", "first"]


class PooledEncoder(torch.nn.Module):
    """
    A DistilBERT with its pooling.

    Args:
        model: Made with `attn_implementation="eager"`.
        pooling: `mean`: the mean of the tokens, of length 1 (Reimers & Gurevych 2019,
            Sentence-BERT). `first`: the state of the first token, as
            DistilBertForSequenceClassification reads it.
    """

    def __init__(self, model: DistilBertModel, pooling: Pooling) -> None:
        super().__init__()
        self.model = model
        self.pooling = pooling
        self.eval()  # all of it: the export puts back the mode of the outermost module

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Encode int64 (batch, sequence) twice: float32 (batch, dim)."""
        hidden: torch.Tensor = self.model(
            input_ids=input_ids, attention_mask=attention_mask
        ).last_hidden_state  # (batch, sequence, dim)
        if self.pooling == "first":
            return hidden[:, 0]
        weights = attention_mask.unsqueeze(-1).to(hidden.dtype)  # (batch, sequence, 1)
        mean = (hidden * weights).sum(1) / weights.sum(1)
        return torch.nn.functional.normalize(mean, dim=1)


def export_encoder(encoder: PooledEncoder) -> bytes:
    """Export as ONNX (opset 17) with weights inside and any batch and sequence size."""
    input_ids = torch.ones((2, 4), dtype=torch.int64)
    # One row is padded: transformers drops a mask that masks nothing, and so would the graph.
    attention_mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    sizes = {0: "batch", 1: "sequence"}
    file = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        # The tracer warns of branches on shapes, which are the same for every input here.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            encoder,
            (input_ids, attention_mask),
            file,  # type: ignore[arg-type] # this exporter takes a file, its signature knows none
            dynamo=False,
            opset_version=17,
            input_names=["input_ids", "attention_mask"],
            output_names=["features"],
            dynamic_axes={"input_ids": sizes, "attention_mask": sizes, "features": {0: "batch"}},
        )
    return file.getvalue()


def verified_export(encoder: PooledEncoder, texts: Sequence[Tokens]) -> bytes:
    """
    Export an encoder, and compare it with the original, a text at a time and padded together.

    Raises:
        RoomstreamError: The exported model computes something else.
    """
    model = export_encoder(encoder)
    for text, row in zip(texts, Encoder(model).of_tokens(texts).features, strict=True):
        ids = torch.tensor([text.ids])
        with torch.no_grad():
            expected = encoder(ids, torch.ones_like(ids))[0].numpy()
        difference = float(np.abs(row - expected).max())
        if not difference <= EXPORT_TOLERANCE:
            raise RoomstreamError(
                f"The exported encoder differs from the original by {difference:.1e}, allowed are "
                f"{EXPORT_TOLERANCE:.0e}. Nothing was published; use the library versions of "
                "constraints.txt."
            )
    return model


class _Shape(msgspec.Struct):
    """What the weights do not say of themselves."""

    pooling: Pooling
    config: dict[str, Any]


_METADATA = "roomstream"


def encoder_weights(encoder: PooledEncoder) -> bytes:
    """Write an encoder as a safetensors file that says how to build it again."""
    config = msgspec.json.decode(encoder.model.config.to_json_string(), type=dict[str, Any])
    shape = _Shape(encoder.pooling, config)
    weights = {name: value.contiguous() for name, value in encoder.model.state_dict().items()}
    data: bytes = save(weights, {_METADATA: msgspec.json.encode(shape, order="sorted").decode()})
    return data


def encoder_of_weights(data: bytes) -> PooledEncoder:
    """
    Build the encoder that was written by `encoder_weights`.

    Raises:
        ReleaseRefused: It was not, or by a version of transformers that builds it otherwise.
    """
    try:
        length = int.from_bytes(data[:8], "little")
        header = msgspec.json.decode(data[8 : 8 + length], type=dict[str, Any])
        shape = msgspec.json.decode(header["__metadata__"][_METADATA], type=_Shape)
        model = DistilBertModel(DistilBertConfig(**shape.config))
        model.set_attn_implementation("eager")
        model.load_state_dict(load(data))
    except (msgspec.MsgspecError, KeyError, SafetensorError, RuntimeError) as error:
        raise ReleaseRefused(
            f"The weights of the encoder cannot be read: {error}. Import the base model again."
        ) from error
    return PooledEncoder(model, shape.pooling)


def distilbert_of_bert(bert: BertModel) -> DistilBertModel:
    """
    Turn a BERT that is used without its pooler and with one segment into the same DistilBERT.

    DistilBERT (Sanh et al. 2019) has no token types: the embedding of type 0, which every token of
    one segment gets, is added to the embeddings of the positions.
    """
    config = bert.config
    model = _distilbert(
        config.vocab_size,
        config.max_position_embeddings,
        config.num_hidden_layers,
        config.num_attention_heads,
        config.hidden_size,
        config.intermediate_size,
        config.hidden_act,
    )
    weights = {_distilbert_name(name): value for name, value in bert.state_dict().items()}
    types = weights.pop("embeddings.token_type_embeddings.weight")
    positions = "embeddings.position_embeddings.weight"
    weights[positions] = weights[positions] + types[0]  # not in place: the BERT stays as it is
    kept = {name: value for name, value in weights.items() if not name.startswith("pooler.")}
    model.load_state_dict(kept)
    return model


def alternate_layers(model: DistilBertModel) -> DistilBertModel:
    """
    Make a student of half of the layers, the first and the last among them.

    Of 12 it has 0, 2, 4, 7, 9 and 11, as those who made DistilBERT chose.

    Sanh et al. 2019, "DistilBERT, a distilled version of BERT": it begins with the embeddings and every
    other layer of its teacher.
    """
    config, layers = model.config, model.transformer.layer
    places = np.rint(np.linspace(0, len(layers) - 1, max(1, len(layers) // 2))).astype(int).tolist()
    student = _distilbert(
        config.vocab_size,
        config.max_position_embeddings,
        len(places),
        config.n_heads,
        config.dim,
        config.hidden_dim,
        config.activation,
    )
    student.embeddings.load_state_dict(model.embeddings.state_dict())
    for layer, place in zip(student.transformer.layer, places, strict=True):
        layer.load_state_dict(layers[place].state_dict())
    return student


def _distilbert(
    vocabulary: int,
    positions: int,
    layers: int,
    heads: int,
    dim: int,
    hidden_dim: int,
    activation: str,
) -> DistilBertModel:
    """A DistilBERT of this shape, with random weights."""
    model = DistilBertModel(
        DistilBertConfig(
            vocab_size=vocabulary,
            max_position_embeddings=positions,
            n_layers=layers,
            n_heads=heads,
            dim=dim,
            hidden_dim=hidden_dim,
            activation=activation,
        )
    )
    model.set_attn_implementation("eager")
    return model


_RENAMED = (
    ("encoder.layer.", "transformer.layer."),
    ("attention.self.query.", "attention.q_lin."),
    ("attention.self.key.", "attention.k_lin."),
    ("attention.self.value.", "attention.v_lin."),
    ("attention.output.dense.", "attention.out_lin."),
    ("attention.output.LayerNorm.", "sa_layer_norm."),
    ("intermediate.dense.", "ffn.lin1."),
    ("output.dense.", "ffn.lin2."),
    ("output.LayerNorm.", "output_layer_norm."),
)


def _distilbert_name(name: str) -> str:
    for before, after in _RENAMED:
        name = name.replace(before, after)
    return name
