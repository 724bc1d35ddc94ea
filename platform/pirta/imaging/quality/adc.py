"""How much of a brain has an ADC that neither tissue nor fluid can have.

Axis suffixes: X Y Z voxels (RAS+). The brain's median is found with the unit, in
`pirta.imaging.adc_units`. Nothing is judged here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

POSSIBLE = (0.0, 4.0)
"""In 10⁻³ mm²/s: free water in the body has 3.0; noise and flow reach a little above."""


def outside_percent(
    adc_XYZ: NDArray[np.float32], brain_XYZ: NDArray[np.bool_], *, factor: float
) -> float:
    """Return the share of brain voxels at or below 0, or above 4; `factor` gives 10⁻³ mm²/s."""
    inside = adc_XYZ[brain_XYZ]
    if not inside.size:
        return 100.0
    low, high = POSSIBLE[0] / factor, POSSIBLE[1] / factor
    return 100 * float(np.count_nonzero((inside <= low) | (inside > high)) / inside.size)
