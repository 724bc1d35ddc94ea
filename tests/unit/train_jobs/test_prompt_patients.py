"""Two halves of the held-out patients that never meet."""

from __future__ import annotations

from train_jobs.prompt_patients import Half, is_for_prompts, is_in

PATIENTS = [f"train-{number:04d}" for number in range(400)]


def test_a_patient_is_in_one_half_and_both_halves_are_about_as_large() -> None:
    for patient in PATIENTS:
        assert is_in(Half.PROMPTS, patient) is not is_in(Half.EVALUATION, patient)
        assert is_in(Half.ALL, patient)
    assert 160 < sum(map(is_for_prompts, PATIENTS)) < 240


def test_the_halves_stay_what_they_were_when_the_shipped_writer_was_trained() -> None:
    found = [number for number in range(8) if is_for_prompts(f"patient-{number}")]
    assert found == [2, 4, 7]
