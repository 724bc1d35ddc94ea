"""The sizes of a Llama-style base model, read from its folder's `config.json`.

What memory and LoRA cost follows from these few numbers, so that it can be told before a weight
is on disk. Nothing of torch or transformers is needed, and no weight is read. Models of another
build (experts, biases, other projections) are refused rather than guessed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pirta.errors import CheckpointError

_LLAMA = "llama"


class WriterShape(BaseModel):
    """A Llama's sizes; the names are those of `config.json`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    hidden_size: int = Field(ge=1)
    intermediate_size: int = Field(ge=1)
    num_hidden_layers: int = Field(ge=1)
    num_attention_heads: int = Field(ge=1)
    num_key_value_heads: int = Field(ge=1)
    head_dim: int = Field(ge=1)
    vocab_size: int = Field(ge=1)
    tie_word_embeddings: bool = False

    @property
    def query_size(self) -> int:
        """Values of all query heads of a token in one layer."""
        return self.num_attention_heads * self.head_dim

    @property
    def key_value_size(self) -> int:
        """Values of all key heads (or value heads) of a token in one layer."""
        return self.num_key_value_heads * self.head_dim

    @property
    def projections(self) -> Mapping[str, tuple[int, int]]:
        """Each linear layer of one block by its name: inputs and outputs."""
        hidden, between = self.hidden_size, self.intermediate_size
        return {
            "q_proj": (hidden, self.query_size),
            "k_proj": (hidden, self.key_value_size),
            "v_proj": (hidden, self.key_value_size),
            "o_proj": (self.query_size, hidden),
            "gate_proj": (hidden, between),
            "up_proj": (hidden, between),
            "down_proj": (between, hidden),
        }

    @property
    def num_linear_weights(self) -> int:
        """Weights of all blocks' linear layers: those that QLoRA holds in four bits."""
        return self.num_hidden_layers * sum(ins * outs for ins, outs in self.projections.values())

    @property
    def num_weights(self) -> int:
        """All weights: linear layers, embedding, output head where it is not tied, and norms."""
        tables = 1 if self.tie_word_embeddings else 2
        norms = (2 * self.num_hidden_layers + 1) * self.hidden_size
        return self.num_linear_weights + tables * self.vocab_size * self.hidden_size + norms

    def num_lora_weights(self, *, rank: int, targets: Collection[str] | None = None) -> int:
        """Return the weights of one adapter: rank · (inputs + outputs) of each target layer.

        Args:
            targets: names of `projections`; all of them where left out.
        """
        sizes = self.projections
        chosen = sizes if targets is None else targets
        return self.num_hidden_layers * rank * sum(sum(sizes[name]) for name in chosen)


def read_shape(folder: Path) -> WriterShape:
    """Return the sizes of the base model in a folder.

    Raises:
        CheckpointError: `config.json` is missing, is no JSON object, lacks a size, or is not a
            Llama's.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise CheckpointError(
            f"There is no base model in {folder}: config.json is missing.",
            remedy="Name the folder that holds the model's config.json and *.safetensors.",
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        return _shape_of(config)
    except (ValueError, TypeError) as error:
        problem = (
            ", ".join(sorted({".".join(map(str, item["loc"])) for item in error.errors()}))
            if isinstance(error, ValidationError)
            else "no JSON object"
        )
        raise CheckpointError(
            f"{path} does not tell the model's sizes: {problem}.",
            remedy="Copy the file again from where the model came from.",
        ) from None


def _shape_of(config: Any) -> WriterShape:
    if not isinstance(config, dict):
        raise TypeError("no JSON object")
    if config.get("model_type") != _LLAMA:
        raise CheckpointError(
            f"The base model is a '{config.get('model_type')}'; its memory is known for "
            f"'{_LLAMA}' only.",
            remedy="Take a Llama, or measure this one by starting its engine.",
        )
    values = dict(config)
    heads = values.get("num_attention_heads")
    if values.get("num_key_value_heads") is None:  # as old as Llama 1: every head has its own
        values["num_key_value_heads"] = heads
    if values.get("head_dim") is None and isinstance(heads, int) and heads > 0:
        values["head_dim"] = int(values.get("hidden_size", 0)) // heads
    return WriterShape.model_validate(values)
