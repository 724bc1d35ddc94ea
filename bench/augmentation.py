"""The training augmentation in numpy against MONAI's transforms of the same kind, one thread.

Both move (zoom, shift, trilinear), bend by a smooth coil field, change the contrast and add noise
to one two-channel volume. MONAI's get probability 1, as ours do all steps each time; the smooth
field is of degree 3, MONAI's default. Axis suffixes: C channels, X Y Z voxels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from bench.result import Ratio, seconds_in_turns
from pirta.contracts.study import CHANNELS, GRID_SHAPE
from train_jobs.augment import NoiseBank, Strength, vary
from train_jobs.pose import draw_pose, move


def run() -> Iterator[Ratio]:
    """Measure milliseconds a volume."""
    from monai.transforms import (
        Compose,
        RandAdjustContrast,
        RandAffine,
        RandBiasField,
        RandGaussianNoise,
    )

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    volume_CXYZ = rng.random((len(CHANNELS), *GRID_SHAPE), dtype=np.float32) + 0.5
    no_lesion_XYZ = np.zeros(GRID_SHAPE, np.uint8)
    bank, strength = NoiseBank(0), Strength()

    def ours() -> None:
        pose = draw_pose(
            rng, zoom=strength.zoom, shift_mm=strength.shift_mm, pitch_deg=strength.pitch_deg
        )
        moved_CXYZ, _ = move(pose, volume_CXYZ, [])
        vary(rng, moved_CXYZ, no_lesion_XYZ, bank, strength)

    transforms = Compose(
        [
            RandAffine(
                prob=1,
                rotate_range=(np.deg2rad(strength.pitch_deg), 0, 0),
                scale_range=(strength.zoom,) * 3,
                translate_range=(4, 4, 2),
                padding_mode="zeros",
            ),
            RandBiasField(prob=1, coeff_range=(0.0, strength.bias)),
            RandAdjustContrast(prob=1, gamma=(1 - strength.gamma, 1 + strength.gamma)),
            RandGaussianNoise(prob=1, std=strength.noise),
        ]
    )
    transforms.set_random_state(seed=0)
    ours_s, monai_s = seconds_in_turns(ours, lambda: transforms(volume_CXYZ), repeats=9)
    yield Ratio(
        "Augmenting one training volume, one thread",
        "numpy", 1e3 * ours_s, "MONAI transforms", 1e3 * monai_s, "ms",
        monai_s / ours_s,
        "lower is better",
    )  # fmt: skip
