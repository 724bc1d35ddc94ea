"""From a study's bytes, in whatever form they came, to one DWI/ADC pair.

The one way in. Which reader serves is decided here by content: an archive is unpacked, DICOM goes
to the DICOM reader, which finds its series by header, and NIfTI or MetaImage are told apart by
their first bytes. Names count only for files without a role, where nothing else tells what they
are (see `volume_files`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pirta.contracts.study import StudyImages
from pirta.errors import ChannelMismatchError, FileMissingError, InputError, SeriesError
from pirta.imaging.archive import is_archive, unpack
from pirta.imaging.dicom.detect import is_dicom
from pirta.imaging.dicom.read import read_dicom_pair
from pirta.imaging.diffusion_fit import MAX_B_S_MM2, pair_from_volumes
from pirta.imaging.diffusion_pair import DiffusionPair
from pirta.imaging.image_file import read_image_file
from pirta.imaging.pair import check_same_grid
from pirta.imaging.volume_files import read_volume_files


def read_pair(images: StudyImages) -> DiffusionPair:
    """Return the study's trace DWI and ADC map.

    Raises:
        FileMissingError: no DWI, or neither an ADC map nor a b0 to compute it with.
        SeriesError: the b value that an ADC needs is not told, or no usable series.
        InputError: one of its kinds, naming the role that cannot be read, why, and the remedy.
    """
    named = {
        role: data
        for role, data in (("DWI", images.dwi), ("ADC", images.adc), ("b0", images.b0))
        if data is not None
    }
    _check_b_value(images.b_value_s_mm2)
    if not images.files:
        return _from_named(named, images.b_value_s_mm2)
    if named:
        raise InputError(
            f"The study comes as {len(images.files)} files and as {' and '.join(named)} besides.",
            remedy="Send either the whole study or the named files.",
        )
    return _from_files(open_archive(images).files, images.b_value_s_mm2)


def open_archive(images: StudyImages) -> StudyImages:
    """Return a study that came as one archive as the archive's files, any other as it is.

    Raises:
        ArchiveError, FileMissingError: the archive cannot be used (see `archive`).
    """
    if len(images.files) != 1:
        return images
    (data,) = images.files.values()
    return replace(images, files=unpack(data)) if is_archive(data) else images


def _check_b_value(b_value_s_mm2: float | None) -> None:
    if b_value_s_mm2 is not None and not 0 <= b_value_s_mm2 <= MAX_B_S_MM2:  # true for NaN too
        raise InputError(
            f"The DWI's b value is told as {b_value_s_mm2:g} s/mm².",
            remedy=f"A b value is a number from 0 to {MAX_B_S_MM2:.0f}, such as 1000.",
        )


def _from_files(files: Mapping[str, bytes], b_value_s_mm2: float | None) -> DiffusionPair:
    if any(map(is_dicom, files.values())):
        return read_dicom_pair(files, b_value_s_mm2=b_value_s_mm2)  # what is none, it counts
    return read_volume_files(files, b_value_s_mm2=b_value_s_mm2)


def _from_named(named: Mapping[str, bytes], b_value_s_mm2: float | None) -> DiffusionPair:
    if "DWI" not in named:
        raise FileMissingError(
            "The DWI file is missing.", remedy="Send the DWI with its ADC map, or a whole study."
        )
    dicom = [role for role, data in named.items() if is_dicom(data)]
    if len(dicom) == len(named):
        return read_dicom_pair(named, b_value_s_mm2=b_value_s_mm2)
    if dicom:
        raise ChannelMismatchError(
            f"{' and '.join(dicom)} came as DICOM and the rest did not.",
            remedy="Send all files of a study in one format.",
        )
    if "ADC" in named:
        return _as_named(named, b_value_s_mm2)
    return _fitted(named, b_value_s_mm2)


def _as_named(named: Mapping[str, bytes], b_value_s_mm2: float | None) -> DiffusionPair:
    volumes = {role: read_image_file(data, role=role) for role, data in named.items()}
    if "b0" in volumes:
        check_same_grid(volumes["DWI"], volumes["b0"], "DWI", "b0")
    return DiffusionPair(
        dwi=volumes["DWI"],
        adc=volumes["ADC"],
        b0=volumes.get("b0"),
        b_value_s_mm2=b_value_s_mm2,
        provenance={role.lower(): "named file" for role in named},
    )


def _fitted(named: Mapping[str, bytes], b_value_s_mm2: float | None) -> DiffusionPair:
    """Return the pair of a DWI and a b0, the ADC computed."""
    if "b0" not in named:
        raise FileMissingError(
            "The ADC file is missing.",
            remedy="Send the ADC map, or a b0 and the DWI's b value to compute it with.",
        )
    if b_value_s_mm2 is None:
        raise SeriesError(
            "The ADC has to be computed from DWI and b0, and the DWI's b value is not told.",
            remedy="Give the b value in s/mm² (b_value), or send the ADC map.",
        )
    dwi, b0 = (read_image_file(named[role], role=role) for role in ("DWI", "b0"))
    check_same_grid(dwi, b0, "DWI", "b0")
    return pair_from_volumes([b0, dwi], [0.0, b_value_s_mm2])
