"""A trained encoder, loaded and ready: volumes in, embeddings and class probabilities out.

What Serve replicas, batch jobs and the evaluation hold. It checks the checkpoint's manifest
before anything of it is used; it does not train and does not prepare volumes.

Axis suffixes: B batch, C channels (0 DWI in brain medians, 1 ADC in 10⁻³ mm²/s, background 0),
X Y Z voxels (RAS+, 2x2x4 mm), D embedding, K labels in the order of `LABELS`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from pirta.errors import CheckpointError, GeometryError
from pirta.models.checkpoint import CheckpointManifest, verify_manifest, write_manifest
from pirta.models.config import EncoderConfig
from pirta.models.encoder import TerritoryEncoder
from pirta.models.weights import load_weights, save_weights

ENCODER_KIND = "encoder"

# auto: what the device is fastest at.
Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]

# Volumes that go through the network at once on a CPU: what eight of them leave between two layers
# does not fit its caches, and each takes a third longer (`python -m bench encoding`).
_AT_ONCE_ON_CPU = 2


class LoadedEncoder:
    """An encoder in memory; `embed` is its one use, and may be called from many threads."""

    def __init__(
        self,
        model: TerritoryEncoder,
        manifest: CheckpointManifest,
        *,
        device: str,
        precision: Precision = "float32",
    ) -> None:
        self.model = model.eval().to(device)
        self._device = device
        self.precision = fastest_precision(device) if precision == "auto" else precision
        self.manifest = manifest
        self.sha256 = manifest.sha256
        self.preprocessing_fingerprint = manifest.preprocessing_fingerprint or ""
        self.dimensions = model.config.dimensions

    def embed(
        self, volume_BCXYZ: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return unit embeddings `(B, D)` and probabilities `(B, K)`, both float32.

        Raises:
            GeometryError: the volumes are not `(B, 2, 96, 112, 48)`.
        """
        expected = (2, *self.model.config.volume_vox)
        if volume_BCXYZ.ndim != 5 or volume_BCXYZ.shape[1:] != expected:
            raise GeometryError(
                f"The encoder got an array of shape {volume_BCXYZ.shape}, not (B, "
                f"{', '.join(str(side) for side in expected)}).",
                remedy="Prepare studies on the encoder's grid first.",
            )
        batch = torch.from_numpy(np.ascontiguousarray(volume_BCXYZ, dtype=np.float32))
        on_cpu = torch.device(self._device).type == "cpu"
        pieces = torch.split(batch, _AT_ONCE_ON_CPU) if on_cpu and len(batch) else (batch,)
        embeddings, probabilities = zip(*map(self._embed_at_once, pieces), strict=True)
        return np.concatenate(embeddings), np.concatenate(probabilities)

    def _embed_at_once(
        self, volume_BCXYZ: torch.Tensor
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        half = self.precision == "bfloat16"
        with (
            torch.inference_mode(),
            torch.autocast(torch.device(self._device).type, dtype=torch.bfloat16, enabled=half),
        ):
            output = self.model(volume_BCXYZ.to(self._device))
            probabilities = torch.softmax(output.logits_BK.float(), dim=1)
        return (
            np.asarray(output.embedding_BD.float().cpu().numpy(), dtype=np.float32),
            np.asarray(probabilities.float().cpu().numpy(), dtype=np.float32),
        )


def fastest_precision(device: str) -> Precision:
    """Return bfloat16 where the device multiplies it in hardware, else float32.

    Without such units torch emulates it, which takes several times as long as float32.
    """
    if torch.device(device).type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    able = torch.cpu.get_capabilities()
    return "bfloat16" if able.get("avx512_bf16") or able.get("amx_bf16") else "float32"


def load_encoder(
    path: Path, *, device: str, num_threads: int, precision: Precision = "float32"
) -> LoadedEncoder:
    """Load the encoder checkpoint in the folder `path`.

    Embeddings in bfloat16 and in float32 compare with each other: their cosine is above 0.999.
    Sets torch's threads for the whole process, as torch knows no other way.

    Raises:
        CheckpointError: the folder is no whole, undamaged encoder checkpoint, or the device is
            not there.
    """
    manifest = verify_manifest(path, kind=ENCODER_KIND)
    try:
        config = EncoderConfig.model_validate(manifest.config)
    except ValidationError as error:
        raise CheckpointError(
            f"The encoder in {path} has settings this version does not know "
            f"({error.error_count()} fields).",
            remedy="Use the checkpoint with the code that made it; its manifest names the commit.",
        ) from None
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise CheckpointError(
            f"The encoder is to run on '{device}', and torch finds no such device.",
            remedy="Set encoder.device to 'cpu', or run where the device is.",
        )
    torch.set_num_threads(num_threads)
    model = TerritoryEncoder(config)
    load_weights(path, model)
    return LoadedEncoder(model, manifest, device=device, precision=precision)


def save_encoder(
    folder: Path,
    model: TerritoryEncoder,
    *,
    run: dict[str, Any],
    data_sha256: str,
    preprocessing_fingerprint: str,
    metrics: dict[str, float],
    command: str,
) -> CheckpointManifest:
    """Write the encoder and its manifest; what `load_encoder` loads."""
    save_weights(folder, model, half=True)
    return write_manifest(
        folder,
        kind=ENCODER_KIND,
        config=model.config.model_dump(mode="json"),
        run=run,
        data_sha256=data_sha256,
        preprocessing_fingerprint=preprocessing_fingerprint,
        metrics=metrics,
        command=command,
    )
