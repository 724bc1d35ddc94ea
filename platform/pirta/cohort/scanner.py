"""MRI scanners as phantoms see them: what differs from hospital to hospital, in numbers.

A scanner decides the grid, the echo time and b value, noise, coil shading, distortion, and how
the files are written: orientation, units, data type. The internal scanners and the external
ones share no value of those that shape an image, so that a test on the external ones is a test
on another hospital. Nothing is simulated here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

AdcUnit = Literal["1e-3 mm2/s", "1e-6 mm2/s", "mm2/s"]
ADC_UNIT_FACTOR: dict[AdcUnit, float] = {
    "1e-3 mm2/s": 1.0,
    "1e-6 mm2/s": 1e3,
    "mm2/s": 1e-3,
}


@dataclass(frozen=True)
class Scanner:
    """One scanner and its protocol.

    Attributes:
        matrix: in-plane voxels along either side (square).
        snr: brain tissue's DWI signal over the noise of one channel.
        gain: stored DWI units for a b0 signal of 1.
        bias_strength: standard deviation of the coil's log shading.
        distortion_mm: largest EPI shift along the phase axis, at the frontal base.
        ghost: share of the signal in the half-field ghost; 0 is none.
        tilt_deg: angle of the slices against the scanner's axis.
        orientation: axis codes of the stored array (nibabel: "LPS" runs to left, posterior,
            superior).
        adc_masked: background of the ADC map set to 0.
        stripped: the files hold the brain only.
    """

    site: str
    name: str
    b_value_s_mm2: float
    te_ms: float
    in_plane_mm: float
    slice_mm: float
    matrix: int
    num_slices: int
    snr: float
    gain: float
    bias_strength: float
    distortion_mm: float
    ghost: float
    tilt_deg: float
    orientation: str
    adc_unit: AdcUnit
    adc_dtype: Literal["int16", "float32"]
    dwi_dtype: Literal["int16", "float32"]
    adc_masked: bool
    stripped: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along right, anterior, superior, before they are stored."""
        return self.matrix, self.matrix, self.num_slices

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Millimetres along right, anterior, superior, before they are stored."""
        return self.in_plane_mm, self.in_plane_mm, self.slice_mm


def ward_scanner(site: str = "site-a") -> Scanner:
    """An internal workhorse: 5 mm slices with skull, int16 ADC in 10⁻⁶ mm²/s."""
    return Scanner(
        site=site, name="ward", b_value_s_mm2=1000.0, te_ms=84.0,
        in_plane_mm=1.5, slice_mm=5.0, matrix=160, num_slices=34,
        snr=24.0, gain=3000.0, bias_strength=0.10, distortion_mm=5.0, ghost=0.0, tilt_deg=10.0,
        orientation="LPS", adc_unit="1e-6 mm2/s", adc_dtype="int16", dwi_dtype="int16",
        adc_masked=True, stripped=False,
    )  # fmt: skip


def research_scanner(site: str = "site-b") -> Scanner:
    """An internal thin-slice scanner: isotropic, stripped, float ADC in 10⁻³ mm²/s."""
    return Scanner(
        site=site, name="research", b_value_s_mm2=800.0, te_ms=62.0,
        in_plane_mm=2.0, slice_mm=3.0, matrix=112, num_slices=56,
        snr=34.0, gain=400.0, bias_strength=0.14, distortion_mm=3.0, ghost=0.0, tilt_deg=0.0,
        orientation="LAS", adc_unit="1e-3 mm2/s", adc_dtype="float32", dwi_dtype="float32",
        adc_masked=True, stripped=True,
    )  # fmt: skip


def emergency_scanner(site: str = "site-c") -> Scanner:
    """An internal fast protocol: noisy, thick slices, steep tilt, ADC in mm²/s."""
    return Scanner(
        site=site, name="emergency", b_value_s_mm2=1000.0, te_ms=76.0,
        in_plane_mm=1.8, slice_mm=6.0, matrix=128, num_slices=28,
        snr=17.0, gain=6000.0, bias_strength=0.18, distortion_mm=6.0, ghost=0.02, tilt_deg=16.0,
        orientation="RAS", adc_unit="mm2/s", adc_dtype="float32", dwi_dtype="int16",
        adc_masked=False, stripped=True,
    )  # fmt: skip


def external_north() -> Scanner:
    """An external scanner with skull: strong shading, long echo, unmasked ADC in mm²/s."""
    return Scanner(
        site="site-n", name="north", b_value_s_mm2=900.0, te_ms=97.0,
        in_plane_mm=1.2, slice_mm=5.5, matrix=192, num_slices=31,
        snr=21.0, gain=1800.0, bias_strength=0.24, distortion_mm=7.0, ghost=0.015, tilt_deg=5.0,
        orientation="LPI", adc_unit="mm2/s", adc_dtype="float32", dwi_dtype="int16",
        adc_masked=False, stripped=False,
    )  # fmt: skip


def external_south() -> Scanner:
    """An external scanner, stripped: coarse voxels, short echo, int16 ADC."""
    return Scanner(
        site="site-s", name="south", b_value_s_mm2=1200.0, te_ms=55.0,
        in_plane_mm=2.3, slice_mm=4.0, matrix=96, num_slices=42,
        snr=28.0, gain=9000.0, bias_strength=0.06, distortion_mm=4.0, ghost=0.0, tilt_deg=-8.0,
        orientation="RAI", adc_unit="1e-6 mm2/s", adc_dtype="int16", dwi_dtype="int16",
        adc_masked=True, stripped=True,
    )  # fmt: skip


def external_west() -> Scanner:
    """An external scanner, stripped: fine pixels, long echo, high b, noisy and steeply tilted."""
    return Scanner(
        site="site-w", name="west", b_value_s_mm2=1400.0, te_ms=112.0,
        in_plane_mm=1.1, slice_mm=4.5, matrix=208, num_slices=38,
        snr=14.0, gain=700.0, bias_strength=0.21, distortion_mm=8.0, ghost=0.03, tilt_deg=22.0,
        orientation="PIR", adc_unit="1e-6 mm2/s", adc_dtype="float32", dwi_dtype="float32",
        adc_masked=True, stripped=True,
    )  # fmt: skip


def coarse_scanner(site: str = "site-t") -> Scanner:
    """A small grid for tests: seconds become tenths."""
    return replace(
        research_scanner(site), name="coarse", in_plane_mm=3.0, slice_mm=4.0, matrix=76,
        num_slices=42,
    )  # fmt: skip


def jittered(scanner: Scanner, rng: np.random.Generator) -> Scanner:
    """Return the scanner on another day: protocol and state vary, the file format does not."""
    return replace(
        scanner,
        b_value_s_mm2=float(round(scanner.b_value_s_mm2 * rng.uniform(0.93, 1.07) / 10) * 10),
        te_ms=scanner.te_ms * rng.uniform(0.92, 1.08),
        snr=scanner.snr * float(np.exp(rng.uniform(-0.35, 0.35))),
        gain=scanner.gain * float(np.exp(rng.uniform(-0.5, 0.5))),
        bias_strength=scanner.bias_strength * rng.uniform(0.5, 1.6),
        distortion_mm=scanner.distortion_mm * rng.uniform(0.4, 1.4),
        ghost=scanner.ghost * rng.uniform(0.0, 1.5),
        tilt_deg=scanner.tilt_deg + rng.normal(0, 4.0),
    )
