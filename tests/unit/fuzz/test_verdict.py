"""The fuzzer's judge must see what it is there to see: leaks, wrong answers, missed refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fuzz.cases import Case, Cases
from fuzz.study import PATIENT
from fuzz.verdict import judge_answer, judge_refusal, sound_pair
from pirta.errors import FileUnreadableError
from pirta.imaging.diffusion_pair import DiffusionPair
from pirta.imaging.volume import Volume


@pytest.fixture(scope="module")
def case() -> Case:
    """A sound scanner-made DICOM study, as a case."""
    (seed,) = [one for one in Cases(0).small if one.name == "dicom-classic"]
    return Case(0, seed, "none", seed.study)


@pytest.fixture(scope="module")
def sound(case: Case) -> DiffusionPair:
    """Its answer."""
    return sound_pair(case.seed)


def test_the_sound_answer_is_clean(case: Case, sound: DiffusionPair) -> None:
    assert judge_answer(case, sound, sound).outcome == "clean"


def test_an_answer_that_a_plain_reading_gives_too_is_right(
    case: Case, sound: DiffusionPair
) -> None:
    other = replace(sound, dwi=_moved(sound.dwi, 1.0))
    assert judge_answer(case, sound, other).outcome == "plain"


@pytest.mark.parametrize("role", ["dwi", "adc"])
def test_one_wrong_voxel_is_a_fault(case: Case, sound: DiffusionPair, role: str) -> None:
    volume = getattr(sound, role)
    data_XYZ = volume.data_XYZ.copy()
    data_XYZ[3, 3, 3] += 0.05 * data_XYZ.max()
    wrong = replace(sound, **{role: replace(volume, data_XYZ=data_XYZ)})
    assert "values" in judge_answer(case, wrong, sound).detail


def test_a_mirrored_answer_is_a_fault(case: Case, sound: DiffusionPair) -> None:
    dwi, adc = (
        replace(one, data_XYZ=np.ascontiguousarray(one.data_XYZ[::-1]))
        for one in (sound.dwi, sound.adc)
    )
    assert judge_answer(case, replace(sound, dwi=dwi, adc=adc), sound).outcome == "fault"


def test_an_answer_elsewhere_in_space_is_a_fault(case: Case, sound: DiffusionPair) -> None:
    wrong = replace(sound, dwi=_moved(sound.dwi, 1.0))
    assert "affine" in judge_answer(case, wrong, sound).detail


def test_an_answer_that_nobody_can_know_is_a_fault(case: Case, sound: DiffusionPair) -> None:
    damaged = replace(case, study=case.study.refused("a slice is missing"))
    assert "slice is missing" in judge_answer(damaged, sound, sound).detail


def test_an_answer_with_the_patient_beside_it_is_a_fault(case: Case, sound: DiffusionPair) -> None:
    leaking = replace(sound, provenance={"dwi": f"from {PATIENT}"})
    assert judge_answer(case, leaking, sound).outcome == "fault"


def test_a_refusal_is_a_fault_where_it_names_the_patient_or_no_remedy() -> None:
    sound = FileUnreadableError("The DWI file is damaged.", remedy="Send it again.")
    assert judge_refusal(sound).outcome == "refused"
    leaking = FileUnreadableError(f"{PATIENT} is damaged.", remedy="Send it again.")
    assert judge_refusal(leaking).outcome == "fault"
    assert judge_refusal(FileUnreadableError("It is damaged.", remedy="")).outcome == "fault"


def _moved(volume: Volume, by_mm: float) -> Volume:
    affine = volume.affine.copy()
    affine[0, 3] += by_mm
    return replace(volume, affine=affine)
