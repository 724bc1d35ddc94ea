"""From a study's bytes, in whatever form they came, to one DWI/ADC pair.

The one way in: which reader serves is decided here, by content and never by a file's name.
"""

from __future__ import annotations

from pirta.contracts.study import StudyImages
from pirta.errors import FileMissingError
from pirta.imaging.diffusion_pair import DiffusionPair
from pirta.imaging.nifti import read_nifti


def read_pair(images: StudyImages) -> DiffusionPair:
    """Return the study's trace DWI and ADC map.

    Raises:
        InputError: one of its kinds, naming the role that cannot be read, why, and the remedy.
    """
    if images.dwi is None or images.adc is None:
        raise FileMissingError("DWI or ADC is missing.", remedy="Hand over both.")
    return DiffusionPair(
        dwi=read_nifti(images.dwi, role="DWI"),
        adc=read_nifti(images.adc, role="ADC"),
        b_value_s_mm2=images.b_value_s_mm2,
        provenance={"dwi": "named file", "adc": "named file"},
    )
