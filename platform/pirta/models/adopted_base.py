"""A language model from elsewhere as a base of ours: its folder gets the manifest that ours have.

Releases name a base by its manifest's hash, and the engine checks it before and after loading;
Llama-3-8B-Instruct as it is downloaded has none. Nothing but the manifest is written, and no
weight is loaded.
"""

from __future__ import annotations

import json
from pathlib import Path

from pirta.errors import CheckpointError
from pirta.models.checkpoint import (
    MANIFEST_NAME,
    CheckpointManifest,
    verify_manifest,
    write_manifest,
)
from pirta.models.writer_shape import read_shape

_KIND = "writer_base"
_TOKENIZER = "tokenizer_config.json"


def adopt_base(folder: Path, *, source: str) -> CheckpointManifest:
    """Write the manifest of a Llama base in transformers' layout, or check the one it has.

    Args:
        source: where the weights come from, for people: a name and revision.

    Raises:
        CheckpointError: it is no Llama, has no safetensors or no chat template, holds a file in
            a format that can run code, or differs from the manifest that it has.
    """
    shape = read_shape(folder)
    if (folder / MANIFEST_NAME).is_file():
        return verify_manifest(folder, kind=_KIND)
    if not any(folder.glob("*.safetensors")):
        raise CheckpointError(
            f"The base in {folder} has no weights: there is no *.safetensors.",
            remedy="Download the weights too, or name the folder that holds them.",
        )
    if not _has_chat_template(folder):
        raise CheckpointError(
            f"The base in {folder} has no chat template: it is not an instruction-tuned model.",
            remedy="Take the Instruct variant; the template stands in tokenizer_config.json or in "
            "chat_template.jinja.",
        )
    return write_manifest(
        folder,
        kind=_KIND,
        config=shape.model_dump(mode="json"),
        run={"source": source},
        data_sha256="not known",
        preprocessing_fingerprint=None,
        metrics={},
        command=f"downloaded: {source}",
    )


def _has_chat_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file():
        return True
    try:
        content = json.loads((folder / _TOKENIZER).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except ValueError:
        raise CheckpointError(
            f"{_TOKENIZER} in {folder} is no JSON.", remedy="Download the tokenizer again."
        ) from None
    return isinstance(content, dict) and bool(content.get("chat_template"))
