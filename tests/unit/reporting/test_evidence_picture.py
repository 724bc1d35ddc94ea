"""The picture of a report's evidence shows the right slice, the right way round."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import numpy as np

from pirta.reporting.evidence_picture import Panel, draw_evidence, slice_to_show


def _brain() -> np.ndarray:
    volume_CXYZ = np.zeros((2, 96, 112, 48), np.float32)
    volume_CXYZ[0, 20:76, 20:92, 10:40] = 1.0
    volume_CXYZ[1, 20:76, 20:92, 10:40] = 0.8
    return volume_CXYZ


def test_the_slice_with_the_restriction_is_shown() -> None:
    volume_CXYZ = _brain()
    volume_CXYZ[0, 30:36, 30:36, 17] = 2.5
    volume_CXYZ[1, 30:36, 30:36, 17] = 0.4
    assert slice_to_show(volume_CXYZ) == 17


def test_a_mild_restriction_wins_over_a_brighter_spot_without_restriction() -> None:
    volume_CXYZ = _brain()
    volume_CXYZ[0, 30:36, 30:36, 17] = 1.3
    volume_CXYZ[1, 30:36, 30:36, 17] = 0.6
    volume_CXYZ[0, 50:56, 50:56, 30] = 1.8  # T2 shine-through: bright, and the ADC high as well
    volume_CXYZ[1, 50:56, 50:56, 30] = 1.8
    assert slice_to_show(volume_CXYZ) == 17


def test_without_restriction_a_slice_inside_the_brain_is_shown() -> None:
    assert 10 <= slice_to_show(_brain()) < 40


def test_an_empty_volume_still_has_a_slice() -> None:
    assert slice_to_show(np.zeros((2, 96, 112, 48), np.float32)) == 0


def test_the_patients_left_is_on_the_readers_right(tmp_path: Path) -> None:
    volume_CXYZ = _brain()
    volume_CXYZ[0, 22:40, 40:60, 20] = 3.5  # small x is the patient's left in RAS+
    volume_CXYZ[1, 22:40, 40:60, 20] = 0.4
    path = draw_evidence(Panel("q", volume_CXYZ), [], tmp_path / "one.png", title="t")
    image = matplotlib.image.imread(path)[..., :3].mean(axis=-1)
    dwi = image[: image.shape[0] // 2 + 40]
    bright_columns = np.flatnonzero((dwi > 0.99).sum(axis=0) > 20)
    assert bright_columns.size > 0
    assert bright_columns.mean() > image.shape[1] / 2
    assert not list(tmp_path.glob("*.partial*"))
