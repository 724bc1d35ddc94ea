"""A study from bytes to the encoder's volume, on a toy brain and on a real stripped case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from pirta.contracts.study import GRID_SHAPE, StudyImages
from pirta.errors import (
    BrainNotFoundError,
    ChannelMismatchError,
    IntensityError,
    QualityError,
)
from pirta.imaging import prepare
from pirta.imaging.adc_units import UNITS
from pirta.imaging.diffusion_pair import DiffusionPair
from pirta.imaging.nifti import read_file
from pirta.imaging.prepare import fingerprint, prepare_case, prepare_study
from pirta.imaging.strip import AlreadyStrippedStripper, make_stripper
from pirta.settings import PreprocessingSettings, QualitySettings

COARSE = QualitySettings(in_plane_warn_mm=4, brain_extent_warn_mm=100)  # the toy brain has so

QUICK = PreprocessingSettings(n4_fit_spacing_mm=16, n4_iterations=(5,))
Pair = tuple[bytes, bytes]
Nifti = Callable[..., bytes]


def _prepare(pair: Pair, **labels: bytes):
    return prepare_case(
        StudyImages(*pair),
        **labels,
        settings=QUICK,
        quality=COARSE,
        stripper=AlreadyStrippedStripper(),
    )


def test_tissue_and_fluid_arrive_with_their_true_values(pair: Pair, brain) -> None:
    fluid_XYZ = brain.fluid_XYZ.astype(np.uint8)
    found = _prepare(pair, territory=_label_bytes(brain, fluid_XYZ))
    dwi_XYZ, adc_XYZ = found.study.volume_CXYZ
    assert found.study.volume_CXYZ.dtype == np.float32
    assert found.study.volume_CXYZ.shape == (2, *GRID_SHAPE)
    assert np.median(dwi_XYZ[dwi_XYZ > 0]) == pytest.approx(1.0, abs=0.02)
    ventricle_XYZ = np.zeros(GRID_SHAPE, bool)
    ventricle_XYZ[38:42, 52:60, 22:26] = True
    assert np.median(adc_XYZ[ventricle_XYZ]) == pytest.approx(3.0, abs=0.1)
    assert found.territory_XYZ is not None
    assert found.territory_XYZ[ventricle_XYZ].mean() > 0.9
    background_XYZ = adc_XYZ == 0
    assert not dwi_XYZ[background_XYZ].any()
    assert found.study.facts["adc_unit"] == "10⁻³ mm²/s"
    assert found.study.facts["stripper"] == "already-stripped"
    assert found.study.facts["warnings"] == ""
    assert found.study.facts["brain_ml"] == pytest.approx(brain.mask_XYZ.sum() * 0.064, abs=0.1)
    assert found.study.facts["slice_thickness_mm"] == 4.0


def _label_bytes(brain, labels_XYZ: np.ndarray) -> bytes:
    return nib.Nifti1Image(labels_XYZ, brain.dwi.affine).to_bytes()


def test_the_adc_unit_of_the_file_does_not_show_in_the_result(
    pair: Pair, brain, nifti: Nifti
) -> None:
    expected = _prepare(pair).study.volume_CXYZ
    for factor, unit in ((1e-3, "mm²/s"), (1e3, "10⁻⁶ mm²/s")):
        adc = nifti(brain.adc.data_XYZ * np.float32(factor), brain.adc.affine)
        study = _prepare((pair[0], adc)).study
        np.testing.assert_allclose(study.volume_CXYZ, expected, atol=1e-4)
        assert study.facts["adc_unit"] == unit


def test_the_scale_of_the_dwi_does_not_show_and_one_that_no_float_carries_is_refused(
    pair: Pair, brain, nifti: Nifti
) -> None:
    expected = _prepare(pair).study
    for factor in (1e-30, 1e25):
        dwi = nifti(brain.dwi.data_XYZ * np.float32(factor), brain.dwi.affine)
        study = _prepare((dwi, pair[1])).study
        np.testing.assert_allclose(study.volume_CXYZ, expected.volume_CXYZ, atol=1e-3)
        assert [one.verdict for one in study.gates] == [one.verdict for one in expected.gates]
    for place, role in ((0, "DWI"), (1, "ADC")):
        broken_XYZ = (brain.dwi if place == 0 else brain.adc).data_XYZ.copy()
        broken_XYZ[24, 28, 20] = 3e38
        files = list(pair)
        files[place] = nifti(broken_XYZ, brain.dwi.affine)
        with pytest.raises(IntensityError, match=rf"{role} volume holds the value 3e\+38"):
            _prepare((files[0], files[1]))


@pytest.mark.parametrize("axes", ["LPS", "PIR"])
def test_the_stored_orientation_does_not_show_in_the_result(
    pair: Pair, brain, nifti: Nifti, axes: str
) -> None:
    turn = nib.orientations.axcodes2ornt(axes)
    affine = brain.dwi.affine @ nib.orientations.inv_ornt_aff(turn, brain.dwi.data_XYZ.shape)
    turned = tuple(
        nifti(nib.orientations.apply_orientation(one.data_XYZ, turn), affine)
        for one in (brain.dwi, brain.adc)
    )
    found, expected = _prepare(turned).study, _prepare(pair).study
    np.testing.assert_allclose(found.volume_CXYZ, expected.volume_CXYZ, atol=1e-4)
    assert [one.gate for one in found.gates] == [one.gate for one in expected.gates]
    for own, other in zip(found.gates, expected.gates, strict=True):
        assert own.verdict == other.verdict
        assert (own.value or 0) == pytest.approx(other.value or 0, rel=1e-3), own.gate


def test_a_mask_comes_onto_the_same_grid_as_the_volume(pair: Pair, brain) -> None:
    lesion_XYZ = np.zeros(brain.mask_XYZ.shape, np.uint8)
    lesion_XYZ[30:34, 30:34, 20:24] = 1
    found = _prepare(pair, mask=_label_bytes(brain, lesion_XYZ))
    assert found.mask_XYZ is not None
    assert found.mask_XYZ.sum() * 0.016 == pytest.approx(64 * 0.064, rel=0.15)
    assert found.territory_XYZ is None
    assert found.study.volume_CXYZ[0][found.mask_XYZ > 0].min() > 0


def test_label_maps_of_another_grid_or_kind_are_refused(pair: Pair, brain) -> None:
    labels_XYZ = np.zeros(brain.mask_XYZ.shape, np.float32)
    labels_XYZ[5, 5, 5] = 0.4
    with pytest.raises(IntensityError, match="mask holds values that are no labels"):
        _prepare(pair, mask=_label_bytes(brain, labels_XYZ))
    with pytest.raises(ChannelMismatchError, match="territory has 10x10x10"):
        _prepare(pair, territory=_label_bytes(brain, np.zeros((10, 10, 10), np.uint8)))


def test_swapped_and_doubled_files_are_refused(pair: Pair) -> None:
    with pytest.raises(ChannelMismatchError, match="swapped"):
        _prepare((pair[1], pair[0]))
    with pytest.raises(ChannelMismatchError, match="same data"):
        _prepare((pair[0], pair[0]))


def test_a_blob_of_a_few_voxels_is_no_brain(nifti: Nifti) -> None:
    data = np.zeros((20, 20, 20), np.float32)
    data[8:12, 8:12, 8:12] = np.arange(64).reshape(4, 4, 4) + 1
    with pytest.raises(BrainNotFoundError, match="ml"):
        _prepare((nifti(data), nifti(data**2)))


def _half_without_orientation(brain) -> tuple[bytes, bytes]:
    top_XYZ = (np.arange(40) > 23)[None, None, :]
    stored = []
    for one in (brain.dwi, brain.adc):
        image = nib.Nifti1Image(one.data_XYZ * top_XYZ, brain.dwi.affine)
        image.set_sform(None, code=0)
        image.set_qform(None, code=0)
        stored.append(image.to_bytes())
    return stored[0], stored[1]


def test_a_study_below_its_sites_limits_gets_no_volume_but_every_reason(brain) -> None:
    with pytest.raises(QualityError, match="left and right are assumed") as caught:
        _prepare(_half_without_orientation(brain))
    refused = {one.gate for one in caught.value.gates if one.verdict == "refuse"}
    assert refused == {"unknown_side", "brain_extent", "brain_volume"}
    assert "36 mm; at least 60 mm is needed" in caught.value.message
    assert len(caught.value.gates) > len(refused)


def test_what_a_site_lets_pass_is_told_as_a_warning(brain) -> None:
    lenient = QualitySettings(
        unknown_side="warn", brain_extent_refuse_mm=30, brain_volume_refuse_ml=300
    )
    found = prepare_study(
        StudyImages(*_half_without_orientation(brain)),
        settings=QUICK,
        quality=lenient,
        stripper=AlreadyStrippedStripper(),
    )
    warnings = str(found.facts["warnings"]).split("\n")
    assert "left and right are assumed" in warnings[0]
    assert "brain's height in the volume is 36 mm" in warnings[1]
    assert warnings == [one.reason for one in found.gates if one.verdict == "warn"]


def test_a_refused_study_costs_no_bias_correction(brain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "fit_log_field", None)  # calling it would be a TypeError
    with pytest.raises(QualityError):
        _prepare(_half_without_orientation(brain))


def test_the_unit_that_the_reader_states_is_used_or_refused(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_pair = prepare.read_pair
    for unit in UNITS:

        def stating(images: StudyImages, unit: str = unit) -> DiffusionPair:
            return replace(read_pair(images), adc_unit=unit)

        monkeypatch.setattr(prepare, "read_pair", stating)
        if unit == "10⁻³ mm²/s":
            assert _prepare(pair).study.facts["adc_unit_from"] == "metadata"
        else:
            with pytest.raises(IntensityError, match=f"said to be in {unit}"):
                _prepare(pair)


def test_the_facts_say_how_the_images_were_read(pair: Pair) -> None:
    facts = _prepare(pair).study.facts
    assert facts["read_dwi"] == "named file"
    assert facts["adc_unit_from"] == "median"


def test_n4_leaves_the_adc_alone_unless_the_settings_ask_for_it(pair: Pair) -> None:
    plain = _prepare(pair).study.volume_CXYZ
    asked = prepare_study(
        StudyImages(*pair),
        settings=QUICK.model_copy(update={"n4_on_adc": True}),
        stripper=AlreadyStrippedStripper(),
    ).volume_CXYZ
    np.testing.assert_array_equal(asked[0], plain[0])
    assert np.abs(asked[1] - plain[1]).max() > 0


def test_a_fingerprint_follows_the_settings_and_nothing_else() -> None:
    first = fingerprint(PreprocessingSettings())
    assert first == fingerprint(PreprocessingSettings())
    assert first != fingerprint(PreprocessingSettings(n4_fit_spacing_mm=3))
    assert first.startswith("prep-")


def test_a_real_stripped_case_comes_out_with_its_lesion(shared_data: Path) -> None:
    stem = shared_data / "isles22-strokecase0009" / "sub-strokecase0009_ses-0001_"
    dwi, adc, mask = (read_file(f"{stem}{one}.nii.gz", role=one) for one in ("dwi", "adc", "msk"))
    stripper = make_stripper(QUICK)
    found = prepare_case(StudyImages(dwi, adc), mask=mask, settings=QUICK, stripper=stripper)
    assert found.study.facts["stripper"] == "already-stripped"
    assert found.study.facts["adc_median"] == pytest.approx(0.904, abs=0.005)
    assert found.mask_XYZ is not None
    assert found.mask_XYZ.sum() * 0.016 == pytest.approx(4.18, rel=0.2)
    dwi_XYZ, adc_XYZ = found.study.volume_CXYZ
    assert np.median(dwi_XYZ[found.mask_XYZ > 0]) > 1.4
    assert np.median(adc_XYZ[found.mask_XYZ > 0]) == pytest.approx(0.592, abs=0.05)
    assert {one.verdict for one in found.study.gates} == {"pass"}
    with pytest.raises(ChannelMismatchError, match="swapped"):
        prepare_study(StudyImages(adc, dwi), settings=QUICK, stripper=stripper)
