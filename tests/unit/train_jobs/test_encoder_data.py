"""Training examples: fresh lesions, what the targets say, and the same again after a resume."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pirta.cohort.prepared_store import close_run, read_prepared
from pirta.contracts.finding import (
    LABELS,
    Label,
)
from pirta.errors import ManifestError
from pirta.models.config import tiny
from train_jobs.augment import NoiseBank, Strength, normalise, vary
from train_jobs.data import (
    UNKNOWN,
    ExampleMaker,
    StepBatches,
    _groups,
    _one_of,
    collate,
    lesion_cells,
)
from train_jobs.pose import draw_pose, move
from train_jobs.training_pool import (
    TrainingPool,
    limited,
    load_pool,
    load_training_pool,
    locate,
)


@pytest.fixture(scope="module")
def pool(synthetic_store: str) -> TrainingPool:
    """The synthetic store's training split."""
    return load_pool(synthetic_store, split="train")


@pytest.fixture(scope="module")
def maker(pool: TrainingPool) -> ExampleMaker:
    """Fresh lesions only."""
    return ExampleMaker(pool, real_share=0.0, strength=Strength())


def test_the_pool_holds_one_split_and_knows_its_origin(
    pool: TrainingPool, synthetic_store: str
) -> None:
    other = load_pool(synthetic_store, split="val")
    assert [case.case_id for case in pool.hosts] == ["train-normal"]
    assert len(pool.cases) == 4
    assert pool.fingerprint == "synthetic"
    assert pool.data_sha256 != other.data_sha256
    assert pool.data_sha256 == load_pool(synthetic_store, split="train").data_sha256


def test_an_unknown_split_is_named_with_those_there_are(synthetic_store: str) -> None:
    with pytest.raises(ManifestError, match=r"'test'.*train, val"):
        load_pool(synthetic_store, split="test")
    assert load_pool(synthetic_store, split="test", required=False).cases == ()


def test_labels_are_learnt_only_where_somebody_stated_them(
    synthetic_store: str, tmp_path: Path
) -> None:
    rows = [
        replace(row, case=row.case.model_copy(update={"finding": None, "report_text": ""}))
        for row in read_prepared(synthetic_store)
    ]
    store = str(tmp_path / "silent")
    close_run(store, rows, [])
    with pytest.raises(ManifestError, match=r"4 of 4 cases .*report_text"):
        load_training_pool(store, None)
    with pytest.raises(ManifestError, match=r"4 of 4 cases"):
        load_training_pool(synthetic_store, store, labelled=False)  # guests are normals
    assert len(load_training_pool(store, None, labelled=False).cases) == 4  # MAE asks for none


def test_a_relative_store_is_located_for_workers_in_other_folders(
    synthetic_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(synthetic_store)
    monkeypatch.chdir(folder.parent)
    assert Path(locate(folder.name)) == folder.resolve()
    with pytest.raises(ManifestError, match="elsewhere"):
        locate("elsewhere")


def test_a_store_without_hosts_is_refused(pool: TrainingPool) -> None:
    bare = TrainingPool((), pool.by_label, pool.fingerprint, pool.data_sha256)
    with pytest.raises(ManifestError, match="territory map"):
        ExampleMaker(bare, real_share=0.0, strength=Strength())


def test_every_label_comes_and_only_strokes_hold_lesion(maker: ExampleMaker) -> None:
    rng = np.random.default_rng(0)
    examples = [maker.draw(rng) for _ in range(24)]
    assert {example.label for example in examples} == set(LABELS)
    for example in examples:
        stroke = example.label is not Label.NORMAL
        assert (example.lesion_XYZ.sum() > 0) == stroke
        assert (example.finding is not None) == stroke
        assert example.volume_CXYZ.dtype == np.float32
        assert np.isfinite(example.volume_CXYZ).all()
        inside = example.volume_CXYZ[0][example.volume_CXYZ[0] > 0]
        assert 0.9 < float(np.median(inside)) < 1.1


def test_fresh_lesions_are_bright_on_dwi_and_dark_on_adc(maker: ExampleMaker) -> None:
    rng = np.random.default_rng(1)
    for _ in range(8):
        example = maker.draw(rng)
        if example.label is Label.NORMAL:
            continue
        dwi, adc = example.volume_CXYZ
        lesion = example.lesion_XYZ > 0
        healthy = (dwi > 0) & ~lesion
        assert dwi[lesion].mean() > dwi[healthy].mean()
        assert adc[lesion].mean() < adc[healthy].mean()


def test_a_step_has_the_same_batch_whenever_it_is_asked_for(maker: ExampleMaker) -> None:
    def batches(seed: int) -> StepBatches:
        return StepBatches(maker, tiny(), batch_size=2, num_pieces=1, seed=seed)

    one, other = batches(3), batches(3)
    _ = other[6]
    first = one[7].volume_BCXYZ
    assert torch.equal(first, other[7].volume_BCXYZ)
    assert not torch.equal(first, one[8].volume_BCXYZ)
    assert not torch.equal(first, batches(4)[7].volume_BCXYZ)


@pytest.mark.parametrize("num_pieces", [2, 4])
def test_a_step_holds_the_same_volumes_however_it_is_cut(
    maker: ExampleMaker, num_pieces: int
) -> None:
    whole = StepBatches(maker, tiny(), batch_size=4, num_pieces=1, seed=3)[5]
    cut = StepBatches(maker, tiny(), batch_size=4 // num_pieces, num_pieces=num_pieces, seed=3)
    pieces = [cut[5 * num_pieces + number] for number in range(num_pieces)]
    assert torch.equal(torch.cat([piece.volume_BCXYZ for piece in pieces]), whole.volume_BCXYZ)
    assert torch.equal(torch.cat([piece.labels_B for piece in pieces]), whole.labels_B)


def test_normal_cases_have_no_finding_to_learn(pool: TrainingPool, maker: ExampleMaker) -> None:
    rng = np.random.default_rng(2)
    batch = collate([maker.draw(rng) for _ in range(6)], tiny())
    normal = batch.labels_B == LABELS.index(Label.NORMAL)
    assert ((batch.classes_B == UNKNOWN) == normal).all()
    assert ((batch.infarct_types_B == UNKNOWN) == normal).all()
    assert (batch.lesion_BNM[normal] == 0).all()


def test_lesion_cells_equal_counting_in_plain_loops() -> None:
    config = tiny()
    rng = np.random.default_rng(4)
    lesion = np.zeros(config.volume_vox, np.uint8)
    for x, y, z in rng.integers(0, 40, (30, 3)):
        lesion[x : x + 2, y : y + 2, z % 40 : z % 40 + 2] = 1
    found = lesion_cells(torch.from_numpy(lesion)[None], config)[0]
    number = 0
    for x in range(0, 96, 16):
        for y in range(0, 112, 16):
            for z in range(0, 48, 8):
                patch = lesion[x : x + 16, y : y + 16, z : z + 8]
                counts = [
                    patch[a : a + 8, b : b + 8, c : c + 4].sum()
                    for a in (0, 8)
                    for b in (0, 8)
                    for c in (0, 4)
                ]
                expected = np.minimum(np.array(counts) / 16, 1)
                np.testing.assert_allclose(found[number].numpy(), expected)
                number += 1


def test_an_empty_volume_stays_empty_and_finite() -> None:
    empty = np.zeros((2, 96, 112, 48), np.float32)
    rng = np.random.default_rng(0)
    moved, _ = move(draw_pose(rng, zoom=0.1, shift_mm=5, pitch_deg=5), empty, [])
    varied = vary(rng, moved, np.zeros(empty.shape[1:], np.uint8), NoiseBank(0), Strength())
    assert not varied.any()
    assert not normalise(empty.copy()).any()


def test_a_pool_with_guests_has_another_origin(synthetic_store: str, pool: TrainingPool) -> None:
    both = load_training_pool(synthetic_store, synthetic_store)
    assert [case.case_id for case in both.guests] == ["train-normal"]
    assert both.data_sha256 != pool.data_sha256
    assert load_training_pool(synthetic_store, None).data_sha256 == pool.data_sha256


def test_a_limited_pool_is_always_the_same_and_keeps_a_host(pool: TrainingPool) -> None:
    two = limited(pool, 2)
    assert len(two.cases) == 2
    assert two.hosts == pool.hosts
    assert two.data_sha256 != pool.data_sha256
    assert limited(pool, 2).data_sha256 == two.data_sha256
    assert limited(pool, None) is pool
    assert limited(pool, 99) is pool
    assert limited(pool, 1).cases == pool.hosts
    with pytest.raises(ManifestError, match="no normal case with a territory map"):
        limited(replace(pool, hosts=()), 2)


def test_another_mask_or_map_is_another_origin(synthetic_store: str, tmp_path: Path) -> None:
    store = Path(shutil.copytree(synthetic_store, tmp_path / "store"))
    before = load_pool(str(store), split="train").data_sha256
    for folder, name in (("masks", "train-anterior"), ("territories", "train-normal")):
        (path,) = store.rglob(f"{folder}/{name}.npy")
        array = np.load(path)
        array[40, 50, 20] = 1 - min(1, array[40, 50, 20])
        np.save(path, array)
        after = load_pool(str(store), split="train").data_sha256
        assert after != before
        before = after


def test_balanced_sites_are_equally_likely_whatever_they_hold(pool: TrainingPool) -> None:
    host = pool.hosts[0]
    crowded = tuple(replace(host, case_id=f"a{n}", site="a") for n in range(9))
    lone = replace(host, case_id="b", site="b")
    groups = _groups((*crowded, lone), True)
    rng = np.random.default_rng(0)
    sites = [_one_of(rng, groups).site for _ in range(400)]
    assert 160 < sites.count("b") < 240
    assert _groups((*crowded, lone), False) == ((*crowded, lone),)
    assert _groups((), False) == ()


def test_noise_has_unit_variance_and_windows_differ() -> None:
    bank = NoiseBank(0)
    rng = np.random.default_rng(0)
    first, second = bank.window(rng, (50, 50, 50)), bank.window(rng, (50, 50, 50))
    assert abs(float(first.std()) - 1) < 0.02
    assert not np.array_equal(first, second)
