"""What the cohort tests share: a head-shaped toy map."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pirta.cohort.territories import territory_codes


@pytest.fixture(scope="session")
def toy_territories_XYZ() -> NDArray[np.uint8]:
    """Territories in an ellipsoid of a brain's size, on the encoder's grid (2 x 2 x 4 mm)."""
    x, y, z = np.ogrid[:96, :112, :48]
    x_mm, y_mm, z_mm = (x - 47.5) * 2.0, (y - 55.5) * 2.0 - 18.0, (z - 23.5) * 4.0
    codes = territory_codes(x_mm, y_mm, z_mm)
    codes[(x_mm / 68) ** 2 + ((y_mm + 18) / 86) ** 2 + (z_mm / 74) ** 2 > 1] = 0
    return codes
