"""Scanners: external ones are others, and jitter leaves the file format alone."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from pirta.cohort.scanner import (
    emergency_scanner,
    external_north,
    external_south,
    external_west,
    jittered,
    research_scanner,
    ward_scanner,
)

INTERNAL = [ward_scanner(), research_scanner(), emergency_scanner()]
EXTERNAL = [external_north(), external_south(), external_west()]


def test_external_scanners_share_no_image_shaping_value_with_internal_ones() -> None:
    for name in (
        "site", "b_value_s_mm2", "te_ms", "in_plane_mm", "slice_mm", "matrix", "snr", "gain",
        "bias_strength", "tilt_deg", "orientation",
    ):  # fmt: skip
        inside, outside = ({asdict(item)[name] for item in group} for group in (INTERNAL, EXTERNAL))
        assert not inside & outside, name


def test_every_scanner_covers_a_large_head() -> None:
    for scanner in INTERNAL + EXTERNAL:
        width, depth, height = (
            size * step for size, step in zip(scanner.shape, scanner.spacing_mm, strict=True)
        )
        assert min(width, depth) >= 210
        assert height >= 160


def test_jitter_varies_the_protocol_but_not_the_files() -> None:
    scanner = ward_scanner()
    other = jittered(scanner, np.random.default_rng(0))
    changed = {key for key, value in asdict(other).items() if value != asdict(scanner)[key]}
    assert {"te_ms", "snr", "gain", "bias_strength"} <= changed
    assert not changed & {
        "site", "name", "in_plane_mm", "slice_mm", "matrix", "num_slices", "orientation",
        "adc_unit", "adc_dtype", "dwi_dtype", "stripped", "adc_masked",
    }  # fmt: skip
    assert jittered(scanner, np.random.default_rng(0)) == other
