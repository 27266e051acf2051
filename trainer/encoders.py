"""A DistilBERT as an encoder graph: (input_ids, attention_mask) to features."""

import io
import warnings
from typing import Literal

import torch
from transformers import BertModel, DistilBertConfig, DistilBertModel

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


def distilbert_of_bert(bert: BertModel) -> DistilBertModel:
    """
    Turn a BERT that is used without its pooler and with one segment into the same DistilBERT.

    DistilBERT (Sanh et al. 2019) has no token types: the embedding of type 0, which every token of
    one segment gets, is added to the embeddings of the positions.
    """
    config = bert.config
    model = DistilBertModel(
        DistilBertConfig(
            vocab_size=config.vocab_size,
            max_position_embeddings=config.max_position_embeddings,
            n_layers=config.num_hidden_layers,
            n_heads=config.num_attention_heads,
            dim=config.hidden_size,
            hidden_dim=config.intermediate_size,
            activation=config.hidden_act,
        )
    )
    model.set_attn_implementation("eager")
    weights = {_distilbert_name(name): value for name, value in bert.state_dict().items()}
    types = weights.pop("embeddings.token_type_embeddings.weight")
    weights["embeddings.position_embeddings.weight"] += types[0]
    kept = {name: value for name, value in weights.items() if not name.startswith("pooler.")}
    model.load_state_dict(kept)
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
