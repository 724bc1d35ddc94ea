"""The encoder: shapes, unit length, empty volumes, loading what was saved; and the MAE."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bench.plain_encoder import plain_encoder
from pirta.cohort.prepared_store import load_volume, read_prepared
from pirta.errors import CheckpointError, GeometryError
from pirta.models.config import demo, tiny
from pirta.models.encoder import TerritoryEncoder
from pirta.models.mae import MaskedAutoencoder, start_from_mae
from pirta.models.runtime import fastest_precision, load_encoder, save_encoder
from pirta.models.stem import scale_volume
from pirta.settings import SHIPPED_WEIGHTS

SHIPPED_LIMIT_BYTES = 11_000_000


def _model(seed: int = 0) -> TerritoryEncoder:
    torch.manual_seed(seed)
    return TerritoryEncoder(tiny()).eval()


def _save(folder: Path, model: TerritoryEncoder) -> str:
    manifest = save_encoder(
        folder,
        model,
        run={},
        data_sha256="d",
        preprocessing_fingerprint="print",
        metrics={},
        command="none",
    )
    return manifest.sha256


def _volumes(count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.random((count, 2, *tiny().volume_vox), dtype=np.float32)


def test_the_output_has_the_documented_shapes_and_unit_embeddings() -> None:
    with torch.inference_mode():
        output = _model()(torch.from_numpy(_volumes(2)))
    assert output.embedding_BD.shape == (2, 32)
    assert output.logits_BK.shape == (2, 4)
    assert output.token_logits_BN.shape == (2, 252)
    assert output.cell_logits_BNMK.shape == (2, 252, 8, 4)
    assert torch.allclose(output.embedding_BD.norm(dim=1), torch.ones(2), atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 1.0, 1e6])
def test_a_constant_volume_gives_finite_numbers(value: float) -> None:
    with torch.inference_mode():
        output = _model()(torch.full((1, 2, *tiny().volume_vox), value))
    assert torch.isfinite(output.embedding_BD).all()
    assert torch.isfinite(output.logits_BK).all()


def test_a_patch_is_as_suspicious_as_its_worst_cell() -> None:
    with torch.inference_mode():
        output = _model()(torch.from_numpy(_volumes(1)))
    share = torch.softmax(output.cell_logits_BNMK, dim=-1)[..., 1:].sum(dim=-1).amax(dim=2)
    assert torch.allclose(torch.sigmoid(output.token_logits_BN), share, atol=1e-5)


def test_a_saved_encoder_loads_and_answers_as_before(tmp_path: Path) -> None:
    model = _model()
    sha256 = _save(tmp_path, model)
    loaded = load_encoder(tmp_path, device="cpu", num_threads=1)
    volumes = _volumes(2)
    embeddings, probabilities = loaded.embed(volumes)
    with torch.inference_mode():
        expected = model(torch.from_numpy(volumes))
    assert (loaded.sha256, loaded.preprocessing_fingerprint) == (sha256, "print")
    assert embeddings.dtype == probabilities.dtype == np.float32
    assert embeddings.shape == (2, loaded.dimensions)
    # Half precision on disk is all that may differ.
    np.testing.assert_allclose(embeddings, expected.embedding_BD.numpy(), atol=5e-3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)


def test_a_volume_embeds_the_same_alone_and_in_a_batch(tmp_path: Path) -> None:
    _save(tmp_path, _model())
    loaded = load_encoder(tmp_path, device="cpu", num_threads=1)
    volumes = _volumes(3)
    together, _ = loaded.embed(volumes)
    alone, _ = loaded.embed(volumes[1:2])
    np.testing.assert_allclose(together[1:2], alone, atol=1e-5)


def test_the_shipped_encoder_embeds_the_same_in_half_precision_and_written_plainly(
    synthetic_store: str,
) -> None:
    volume_BCXYZ = np.stack([load_volume(one.array_uri) for one in read_prepared(synthetic_store)])
    path = SHIPPED_WEIGHTS / "encoder"
    whole = load_encoder(path, device="cpu", num_threads=1)
    half = load_encoder(path, device="cpu", num_threads=1, precision="bfloat16")
    expected_BD, expected_BK = whole.embed(volume_BCXYZ)
    found_BD, found_BK = half.embed(volume_BCXYZ)
    with torch.inference_mode():
        plain_BD = plain_encoder(whole.model)(torch.from_numpy(volume_BCXYZ)).embedding_BD.numpy()
    assert found_BD.dtype == found_BK.dtype == np.float32
    assert (found_BD * expected_BD).sum(axis=1).min() > 0.999
    np.testing.assert_allclose(found_BK, expected_BK, atol=0.05)
    np.testing.assert_allclose(plain_BD, expected_BD, atol=1e-4)


def test_auto_takes_half_precision_only_where_the_processor_has_units_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for able, expected in (({"avx512_bf16": True}, "bfloat16"), ({"avx2": True}, "float32")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: able)
        assert fastest_precision("cpu") == expected


def test_a_volume_of_another_grid_is_refused(tmp_path: Path) -> None:
    _save(tmp_path, _model())
    loaded = load_encoder(tmp_path, device="cpu", num_threads=1)
    with pytest.raises(GeometryError, match=r"shape \(2, 96, 112, 48\)"):
        loaded.embed(_volumes(1)[0])


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    other = TerritoryEncoder(tiny().model_copy(update={"dimensions": 16}))
    other.config = tiny()
    _save(tmp_path, other)
    with pytest.raises(CheckpointError, match="do not fit"):
        load_encoder(tmp_path, device="cpu", num_threads=1)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    model = _model()
    with torch.no_grad():
        model.project.bias[0] = float("nan")
    _save(tmp_path, model)
    with pytest.raises(CheckpointError, match="not finite"):
        load_encoder(tmp_path, device="cpu", num_threads=1)


def test_the_shipped_size_fits_its_budget() -> None:
    num_values = sum(p.numel() for p in TerritoryEncoder(demo()).parameters())
    assert 2 * num_values < SHIPPED_LIMIT_BYTES


def test_the_mae_error_counts_removed_brain_only() -> None:
    torch.manual_seed(0)
    mae = MaskedAutoencoder(tiny(), keep_fraction=0.25, decoder_size=16).eval()
    with torch.inference_mode():
        assert float(mae(torch.zeros(1, 2, *tiny().volume_vox))) == 0.0
        assert float(mae(torch.from_numpy(_volumes(1)))) > 0.0


def test_an_encoder_started_from_mae_has_its_body() -> None:
    mae = MaskedAutoencoder(tiny(), keep_fraction=0.25, decoder_size=16)
    model = _model(seed=1)
    start_from_mae(model, mae)
    volume = torch.from_numpy(_volumes(1))
    with torch.inference_mode():
        tokens = mae.net.blocks(mae.net.patch_embedding(volume))
        own = model.vit.patch_embedding(volume)
        for block in model.vit.blocks:
            own = block(own)
        own = model.vit.norm(own)
    assert torch.allclose(own, tokens, atol=1e-6)


@pytest.mark.parametrize(
    ("dwi", "adc", "restriction"),
    [(3.0, 0.4, 1.2), (3.0, 1.2, 0.0), (0.8, 0.4, 0.0), (0.0, 0.0, 0.0), (2.0, 0.0, 0.0)],
)
def test_restriction_is_bright_on_dwi_and_dark_on_adc(
    dwi: float, adc: float, restriction: float
) -> None:
    scaled = scale_volume(torch.tensor([dwi, adc]).reshape(1, 2, 1, 1, 1))
    assert scaled.flatten().tolist() == pytest.approx([dwi - 1.0, adc - 0.9, restriction])
