"""The probe finds a scanner that shows in the embedding, and finds none where there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pirta.evaluation.site_probe import probe_sites


def _cases(make_cases, shift: float, *, sites="ab" * 30, shown=None, patients=None):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(len(sites), 24)).astype(np.float32)
    rows[:, 0] += shift * np.array([site == "a" for site in sites], np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    shown = [0] * len(sites) if shown is None else shown
    return make_cases(shown, sites=list(sites), embeddings_QD=rows, patients=patients)


def test_a_scanner_that_shows_is_told_apart(make_cases) -> None:
    probe = probe_sites(_cases(make_cases, 8.0), among="normals", num_permutations=20)
    assert probe.balanced_accuracy.value > 0.95
    assert probe.p_value == pytest.approx(1 / 21)
    assert (probe.chance, probe.num_cases) == (0.5, {"a": 30, "b": 30})


def test_noise_is_near_chance_and_its_p_is_large(make_cases) -> None:
    probe = probe_sites(_cases(make_cases, 0.0), among="normals", num_permutations=20)
    assert probe.balanced_accuracy.low < 0.5 < probe.balanced_accuracy.high + 0.1
    assert probe.p_value > 0.05


def test_a_patients_scans_never_stand_on_both_sides(make_cases) -> None:
    """Ten scans of each patient, alike to the digit: known by heart, unless held out whole."""
    patients = np.repeat([f"p{number}" for number in range(12)], 10)
    sites = np.repeat(list("ab" * 6), 10)
    rng = np.random.default_rng(1)
    rows = np.repeat(rng.normal(size=(12, 24)).astype(np.float32), 10, axis=0)
    cases = make_cases([0] * 120, sites=sites, patients=patients, embeddings_QD=rows)
    probe = probe_sites(cases, among="normals", num_permutations=10)
    assert probe.balanced_accuracy.value < 0.85
    assert probe.p_value > 0.05


def test_strokes_are_no_normals(make_cases) -> None:
    cases = _cases(make_cases, 8.0, shown=[0, 1] * 30, sites="aabb" * 15)
    assert probe_sites(cases, among="normals", num_permutations=0).num_cases == {"a": 15, "b": 15}
    assert math.isnan(probe_sites(cases, among="strokes", num_permutations=0).p_value)


def test_sites_with_too_few_patients_are_named_and_left_out(make_cases) -> None:
    probe = probe_sites(_cases(make_cases, 0.0, sites="a" * 10 + "cc"), among="normals")
    assert str(probe.balanced_accuracy) == "not defined"
    assert (probe.num_cases, probe.left_out) == ({"a": 10}, ("c",))
    assert math.isnan(probe.p_value)


def test_no_normal_at_all_is_not_defined(make_cases) -> None:
    cases = _cases(make_cases, 0.0, sites="ab" * 3, shown=[1] * 6)
    assert str(probe_sites(cases, among="normals").balanced_accuracy) == "not defined"


def test_embeddings_that_are_all_the_same_tell_nothing(make_cases) -> None:
    same = np.ones((20, 8), np.float32)
    cases = make_cases([0] * 20, sites=list("ab" * 10), embeddings_QD=same)
    probe = probe_sites(cases, among="normals", num_permutations=0)
    assert probe.balanced_accuracy.value == 0.5


def test_a_probe_of_something_else_is_refused(make_cases) -> None:
    with pytest.raises(ValueError, match="no probe of weather"):
        probe_sites(make_cases([0, 1]), among="normals", target="weather")


def test_patients_seen_on_several_scanners_are_measured_without_permutations(make_cases) -> None:
    patients = [f"p{number // 2}" for number in range(60)]
    cases = _cases(make_cases, 8.0, sites="ab" * 30, patients=patients)
    probe = probe_sites(cases, among="normals", num_permutations=20)
    assert probe.balanced_accuracy.value > 0.95
    assert math.isnan(probe.p_value)
    assert probe.num_permutations == 0
