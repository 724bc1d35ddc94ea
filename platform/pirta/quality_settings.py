"""The quality gate's limits: from which value on a study is warned about, and refused.

Part of `pirta.settings`, in a file of its own. A name is `GATE_warn_UNIT` or `GATE_refuse_UNIT`;
the gates are measured in `pirta.imaging.quality`. The defaults stand on the values of four real
cases (tests/ray/test_real_quality.py holds them), of phantoms and of damaged copies of both.
Nothing is judged here.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

_FLOORS = (
    "brain_width",
    "brain_length",
    "brain_extent",
    "brain_volume",
    "snr",
    "dropout",
    "adc_low",
    "b_value_low",
)


def _limit(default: float, description: str) -> Any:
    return Field(default=default, ge=0, description=description)


class QualitySettings(BaseModel):
    """Limits of the quality gate. A site's own stand in `[site_quality.NAME]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unknown_side: Literal["refuse", "warn"] = Field(
        default="refuse", description="Where no header says which side is left: a report names one."
    )
    brain_width_warn_mm: float = _limit(105.0, "Brain's width, at least.")
    brain_width_refuse_mm: float = _limit(85.0, "Brain's width, at least.")
    brain_length_warn_mm: float = _limit(130.0, "Brain's length, at least.")
    brain_length_refuse_mm: float = _limit(100.0, "Brain's length, at least.")
    brain_extent_warn_mm: float = _limit(110.0, "Brain's height, at least.")
    brain_extent_refuse_mm: float = _limit(60.0, "Brain's height, at least.")
    brain_cut_warn_percent: float = _limit(
        40.0, "Brain's area in an outermost slice, of its largest; at most."
    )
    brain_cut_refuse_percent: float = _limit(
        90.0, "Brain's area in an outermost slice, of its largest; at most."
    )
    brain_volume_warn_ml: float = _limit(800.0, "Brain's volume, at least.")
    brain_volume_refuse_ml: float = _limit(500.0, "Brain's volume, at least.")
    brain_gap_warn_percent: float = _limit(1.5, "Brain missing between slices that hold it.")
    brain_gap_refuse_percent: float = _limit(5.0, "Brain missing between slices that hold it.")
    left_out_warn_percent: float = _limit(
        3.0, "Tissue as bright as brain beside the mask, of the mask; at most."
    )
    left_out_refuse_percent: float = _limit(
        10.0, "Tissue as bright as brain beside the mask, of the mask; at most."
    )
    blank_slices_warn: int = Field(
        default=0, ge=0, description="Empty slices between others, at most."
    )
    blank_slices_refuse: int = Field(
        default=0, ge=0, description="Empty slices between others, at most."
    )
    slice_spacing_warn_mm: float = _limit(7.0, "Slice to slice, at most.")
    slice_spacing_refuse_mm: float = _limit(10.0, "Slice to slice, at most.")
    slice_gap_warn_percent: float = _limit(
        50.0, "Gap between slices, of their thickness; at most. Judged where a header tells it."
    )
    slice_gap_refuse_percent: float = _limit(100.0, "Gap between slices, of their thickness.")
    in_plane_warn_mm: float = _limit(3.5, "Pixel side, at most.")
    in_plane_refuse_mm: float = _limit(5.0, "Pixel side, at most.")
    snr_warn: float = _limit(8.0, "Brain's median DWI signal over the noise, at least.")
    snr_refuse: float = _limit(4.0, "Brain's median DWI signal over the noise, at least.")
    clipped_warn_percent: float = _limit(0.5, "Worst slice's brain at the exact maximum, at most.")
    clipped_refuse_percent: float = _limit(5.0, "Worst slice's brain at the exact maximum.")
    dropout_warn_percent: float = _limit(70.0, "Darkest slice's signal, of its neighbours'.")
    dropout_refuse_percent: float = _limit(45.0, "Darkest slice's signal, of its neighbours'.")
    motion_warn_mm: float = _limit(3.0, "Shift between b0 and DWI, at most.")
    motion_refuse_mm: float = _limit(8.0, "Shift between b0 and DWI, at most.")
    b_value_low_warn_s_mm2: float = _limit(700.0, "The DWI's b value, at least.")
    b_value_low_refuse_s_mm2: float = _limit(400.0, "The DWI's b value, at least.")
    b_value_high_warn_s_mm2: float = _limit(1500.0, "The DWI's b value, at most.")
    b_value_high_refuse_s_mm2: float = _limit(3000.0, "The DWI's b value, at most.")
    adc_low_warn: float = _limit(0.6, "Brain's median ADC in 10⁻³ mm²/s, at least.")
    adc_low_refuse: float = _limit(0.5, "Brain's median ADC in 10⁻³ mm²/s, at least.")
    adc_high_warn: float = _limit(1.2, "Brain's median ADC in 10⁻³ mm²/s, at most.")
    adc_high_refuse: float = _limit(1.8, "Brain's median ADC in 10⁻³ mm²/s, at most.")
    adc_outside_warn_percent: float = _limit(5.0, "Brain with an ADC of 0 or less, or above 4.")
    adc_outside_refuse_percent: float = _limit(20.0, "Brain with an ADC of 0 or less, or above 4.")
    off_grid_warn_percent: float = _limit(1.0, "Brain outside the encoder's grid, at most.")
    off_grid_refuse_percent: float = _limit(10.0, "Brain outside the encoder's grid, at most.")

    @model_validator(mode="after")
    def _refuse_lies_beyond_warn(self) -> QualitySettings:
        """Refuse a pair of limits that would refuse what it does not even warn about."""
        for name, warn in self:
            if "_warn" not in name:
                continue
            other = name.replace("_warn", "_refuse")
            refuse = getattr(self, other)
            if refuse > warn if self.is_floor(name) else refuse < warn:
                raise ValueError(f"{other} = {refuse:g} is stricter than {name} = {warn:g}")
        return self

    @staticmethod
    def is_floor(name: str) -> bool:
        """Say whether a limit bounds its gate's value from below."""
        return name.startswith(_FLOORS)


DEFAULT_QUALITY = QualitySettings()
