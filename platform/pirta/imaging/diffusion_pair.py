"""A study's diffusion images once they are read: trace DWI, ADC map, and how they were found.

Every reader (DICOM, NIfTI with sidecars, two named files) ends here, and everything after it
starts here. Nothing is read or computed in this module.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pirta.imaging.volume import Volume


@dataclass(frozen=True)
class DiffusionPair:
    """A trace DWI and an ADC map on one grid, RAS+ (as close as the affine allows).

    Attributes:
        dwi: the trace image (geometric mean over directions) of the highest b up to 1000.
        adc: in the unit it came in.
        b0: the mean of the near-b0 volumes on the same grid, where there are any.
        b_value_s_mm2: of the DWI, where something tells.
        adc_unit: a key of `pirta.imaging.adc_units.UNITS` where metadata or our own fit says so;
            None leaves it to the brain's median.
        slice_thickness_mm: nominal, where a header tells (the spacing may hold a gap).
        provenance: each decision by name ("dwi": "scanner trace", "adc": "fitted over b 0,
            1000"), never names or identifiers of people, devices or files.
        warnings: what the report has to say of how the images were found, a sentence each.
    """

    dwi: Volume
    adc: Volume
    b0: Volume | None = None
    b_value_s_mm2: float | None = None
    adc_unit: str | None = None
    slice_thickness_mm: float | None = None
    provenance: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
