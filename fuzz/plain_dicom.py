"""The plain reading of a DICOM bag: pydicom, sorted along the normal, stacked, scaled.

Axis suffixes: R rows, C columns, K slices; X Y Z voxels (RAS+), N volumes. It knows the seed
studies (their kinds by the words of ImageType or FrameType, their b values by the elements
they use) and checks nothing: two slices at one place, gaps and odd numbers are not its concern.
"""

from __future__ import annotations

import io
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import nibabel as nib
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from fuzz.plain_pair import PlainPair, plain_fit

IMAGE_CLASSES = ("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1")


@dataclass(frozen=True)
class _Slice:
    kind: str
    series: str
    b_value: float
    direction: tuple[float, ...]
    position: NDArray[np.float64]
    cosines: NDArray[np.float64]
    spacing_mm: tuple[float, float]
    values_RC: NDArray[np.float64]


def plain_dicom(files: Mapping[str, bytes]) -> PlainPair:
    """Return DWI and ADC: the scanner's where there are both, else fitted."""
    found: dict[tuple[str, str, float, tuple[float, ...]], list[_Slice]] = defaultdict(list)
    seen: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for data in files.values():
            dataset = _parse(data)
            uid = str(dataset.get("SOPInstanceUID", "")) if dataset else ""
            if dataset is None or uid in seen:
                continue
            seen.add(uid)
            for one in _slices(dataset):
                found[one.kind, one.series, one.b_value, one.direction].append(one)
    volumes = {key: _stack(slices) for key, slices in found.items()}
    trace = [one for key, one in volumes.items() if key[0] == "TRACEW"]
    maps = [one for key, one in volumes.items() if key[0] == "ADC"]
    if trace and maps:
        return PlainPair(trace[-1][0], maps[-1][0], trace[-1][1])
    raw = {key: one for key, one in volumes.items() if key[0] == "raw"}
    stacked_XYZN = np.stack([values for values, _ in raw.values()], axis=-1)
    (affine, *_) = (affine for _, affine in raw.values())
    return plain_fit(stacked_XYZN, [key[2] for key in raw], affine)


def _parse(data: bytes) -> FileDataset | None:
    try:
        dataset = pydicom.dcmread(io.BytesIO(data), force=True)
    except Exception:  # noqa: BLE001 - a plain reading leaves what it cannot read
        return None
    if str(dataset.get("SOPClassUID")) not in IMAGE_CLASSES or "LOCALIZER" in dataset.ImageType:
        return None
    if "TransferSyntaxUID" not in dataset.file_meta:  # lost: as the elements were read
        implicit, _ = dataset.original_encoding
        syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def _slices(dataset: Dataset) -> Iterator[_Slice]:
    pixels = np.asarray(dataset.pixel_array, dtype=np.float64)
    words = [str(word) for word in dataset.ImageType]
    if "PerFrameFunctionalGroupsSequence" in dataset:
        shared = dataset.SharedFunctionalGroupsSequence[0]
        for number, own in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            merged = Dataset()
            for group in (shared, own):
                for element in group:
                    if element.VR == "SQ" and element.value:
                        merged.update(element.value[0])
            kind = _kind([str(word) for word in merged.get("FrameType", words)])
            yield _slice(dataset, merged, pixels[number], kind)
    elif "MOSAIC" in words:
        yield from _tiles(dataset, pixels, _kind(words))
    else:
        yield _slice(dataset, dataset, pixels, _kind(words))


def _kind(words: list[str]) -> str:
    return next((kind for kind in ("TRACEW", "ADC") if kind in "".join(words)), "raw")


def _slice(dataset: Dataset, group: Dataset, pixels_RC: NDArray[np.float64], kind: str) -> _Slice:
    b_value = group.get("DiffusionBValue")
    if b_value is None and (0x2001, 0x1003) in group:
        b_value = group[0x2001, 0x1003].value
    way = group.get("DiffusionGradientOrientation")
    if way is None and group.get("DiffusionGradientDirectionSequence"):
        way = group.DiffusionGradientDirectionSequence[0].DiffusionGradientOrientation
    scale = float(group.get("RescaleSlope", 1)), float(group.get("RescaleIntercept", 0))
    return _Slice(
        kind=kind,
        series=str(dataset.SeriesInstanceUID),
        b_value=float(b_value or 0),
        direction=tuple(round(float(part), 3) for part in way or ()),
        position=np.array(group.ImagePositionPatient, dtype=np.float64),
        cosines=np.array(group.ImageOrientationPatient, dtype=np.float64).reshape(2, 3),
        spacing_mm=(float(group.PixelSpacing[0]), float(group.PixelSpacing[1])),
        values_RC=pixels_RC * scale[0] + scale[1],
    )


def _tiles(dataset: Dataset, pixels_RC: NDArray[np.float64], kind: str) -> Iterator[_Slice]:
    from nibabel.nicom import csareader  # it warns when it is imported

    tags = csareader.read(dataset[0x0029, 0x1010].value)["tags"]
    number = int(tags["NumberOfImagesInMosaic"]["items"][0])
    side = int(np.ceil(np.sqrt(number)))
    rows, columns = pixels_RC.shape[0] // side, pixels_RC.shape[1] // side
    whole = _slice(dataset, dataset, pixels_RC, kind)
    shift = np.array([pixels_RC.shape[1] - columns, pixels_RC.shape[0] - rows]) / 2
    first = whole.position + shift[0] * whole.spacing_mm[1] * whole.cosines[0]
    first = first + shift[1] * whole.spacing_mm[0] * whole.cosines[1]
    normal = np.array(tags["SliceNormalVector"]["items"], dtype=np.float64)
    for k in range(number):
        top, left = rows * (k // side), columns * (k % side)
        yield _Slice(
            kind=kind,
            series=whole.series,
            b_value=whole.b_value,
            direction=(),
            position=first + k * float(dataset.SpacingBetweenSlices) * normal,
            cosines=whole.cosines,
            spacing_mm=whole.spacing_mm,
            values_RC=whole.values_RC[top : top + rows, left : left + columns],
        )


def _stack(slices: list[_Slice]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    normal = np.cross(*slices[0].cosines)
    ordered = sorted(slices, key=lambda one: float(one.position @ normal))
    first, last = ordered[0], ordered[-1]
    lps = np.eye(4)
    lps[:3, 0] = first.cosines[0] * first.spacing_mm[1]
    lps[:3, 1] = first.cosines[1] * first.spacing_mm[0]
    lps[:3, 2] = (last.position - first.position) / (len(ordered) - 1)
    lps[:3, 3] = first.position
    stored = np.stack([one.values_RC.T for one in ordered], axis=-1)
    turned = nib.as_closest_canonical(
        nib.Nifti1Image(stored, np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps)
    )
    return np.asarray(turned.get_fdata()), np.asarray(turned.affine)
