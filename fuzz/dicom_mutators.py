"""Damage that knows DICOM: odd values, wrong VRs and lengths, huge claims, slices lost or moved.

Each function takes a generator of random numbers and a study, and returns the damaged study.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping

import numpy as np
import pydicom

from fuzz.byte_mutators import Mutator, pick
from fuzz.dicom_elements import Element, everything, find, with_value
from fuzz.study import PATIENT, SERIAL, UID_ROOT, Study

_TEXTS = tuple(
    text.encode() for text in (
        "0", "0\\0", "-1\\-1", "nan\\nan", "inf\\1", "1e30\\1e30", "1e-30\\1e-30", "", " ", "1",
        f"{PATIENT}\\1", PATIENT, "1,5\\1,5", "8\\8\\8\\8", "1\\0\\0\\1\\0\\0", "9" * 200, "\0\0",
        "0\\0\\0", "nan\\0\\0", "1e30\\0\\0", "0\\0\\0\\0\\0\\0", "1\\0\\0\\0\\2\\0", "0x10\\0x10",
        "1\\0\\0\\nan\\1\\0", "1000000000", "-1", "2147483648", "abc", "10^-3 mm2/s", "HU", "1e400",
    )
)  # fmt: skip
_UIDS = tuple(
    uid.encode() for uid in (
        "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2",
        "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90",
        "1.2.840.10008.1.2.5", "1.2.3", "", PATIENT, f"{UID_ROOT}.9", "1.2.840.10008.5.1.4.1.1.4",
        "1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.2", "1" * 200,
    )
)  # fmt: skip
_WORDS = tuple(
    word.encode() for word in (
        "", PATIENT, "ORIGINAL", "DERIVED\\PRIMARY\\DIFFUSION\\ADC", "A\\B\\C\\D\\MOSAIC",
        "DERIVED\\PRIMARY\\DIFFUSION\\TRACEW", "\\" * 1000, "RGB", "MONOCHROME1", "PALETTE COLOR",
    )
)  # fmt: skip
_NAN, _INF = float("nan"), float("inf")
_SHORTS = (0, 1, 2, 3, 7, 8, 12, 15, 17, 32, 64, 65535)
_DOUBLES = (0, -5, 1e300, _NAN, _INF, 1000.0, 999.9, 20)
_FLOATS = (0, -5, 1e30, _NAN, 1000.0)
_OF_VR = {
    "DS": _TEXTS, "IS": _TEXTS, "LO": _TEXTS, "TM": _TEXTS, "UI": _UIDS, "CS": _WORDS,
    "US": (*(struct.pack("<H", number) for number in _SHORTS), b"", b"\0", bytes(4)),
    "FD": (
        *(struct.pack("<d", number) for number in _DOUBLES),
        b"", b"\0" * 7, bytes(24), struct.pack("<3d", _NAN, 1, 0),
    ),
    "FL": (*(struct.pack("<f", number) for number in _FLOATS), b"", b"\0"),
    "OB": (b"", b"SV10", b"SV10\4\3\2\1\xff\xff\xff\x7f\x4d\0\0\0", bytes(1000)),
    "OW": (b"", b"\0", bytes(1000)),
}  # fmt: skip
_NAMES = (
    "ImageType", "SOPClassUID", "SOPInstanceUID", "SliceThickness", "SpacingBetweenSlices",
    "DiffusionBValue", "Direction", "SeriesInstanceUID", "InstanceNumber", "Position",
    "Orientation", "FrameOfReferenceUID", "SamplesPerPixel", "Photometric", "NumberOfFrames",
    "Rows", "Columns", "PixelSpacing", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "RescaleIntercept", "RescaleSlope", "RescaleType", "TransferSyntaxUID",
    "AcquisitionTime", "PhilipsB", "CsaHeader", "PixelData",
)  # fmt: skip


def odd_value(rng: np.random.Generator, study: Study) -> Study:
    """Put an odd value in one place of one file."""
    name, field = pick(rng, study), str(rng.choice(_NAMES))
    data = study.parts[name]
    places = find(data, field)
    if not places:
        return study
    place = places[int(rng.integers(len(places)))]
    value = _odd(rng, place)
    return study.with_part(name, with_value(data, place, value), f"{field} = {value[:30]!r}")


def odd_everywhere(rng: np.random.Generator, study: Study) -> Study:
    """Put the same odd value in every place of every file."""
    field = str(rng.choice(_NAMES))
    parts, value = dict(study.parts), None
    for name, data in study.parts.items():
        for place in reversed(find(data, field)):
            value = _odd(rng, place) if value is None else value
            data = with_value(data, place, value)
        parts[name] = data
    return study.with_parts(parts, f"every {field} = {(value or b'')[:30]!r}")


def wrong_vr(rng: np.random.Generator, study: Study) -> Study:
    """Give elements another VR, a sound or an unknown one."""
    name = pick(rng, study)
    data = bytearray(study.parts[name])
    places = everything(bytes(data))
    for _ in range(int(rng.integers(1, 4)) if places else 0):
        place = places[int(rng.integers(len(places)))]
        vr = rng.choice([b"SQ", b"UN", b"OB", b"FD", b"US", b"PN", b"??", b"\0\0", b"DS", b"AT"])
        data[place.start + 4 : place.start + 6] = bytes(vr).ljust(2, b"\0")
    return study.with_part(name, bytes(data), "wrong VR")


def wrong_length(rng: np.random.Generator, study: Study) -> Study:
    """State another length of an element."""
    name = pick(rng, study)
    data = bytearray(study.parts[name])
    places = everything(bytes(data))
    if not places:
        return study
    place = places[int(rng.integers(len(places)))]
    length = int(rng.choice([0, 1, 3, 7, 255, 65535, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF]))
    if bytes(data[place.start + 4 : place.start + 6]) in (b"OB", b"OW", b"SQ", b"UN", b"UT"):
        data[place.start + 8 : place.start + 12] = struct.pack("<I", length)
    else:
        data[place.start + 6 : place.start + 8] = struct.pack("<H", length & 0xFFFF)
    return study.with_part(name, bytes(data), f"length {length}")


def huge_claim(rng: np.random.Generator, study: Study) -> Study:
    """Claim more pixels than a billion, in one file or in all."""
    names = sorted(study.parts) if rng.random() < 0.5 else [pick(rng, study)]
    parts, changed = dict(study.parts), False
    for name in names:
        data = parts[name]
        frames = find(data, "NumberOfFrames")
        if frames and rng.random() < 0.5:
            data = with_value(data, frames[0], b"1000000000")
        for field in ("Rows", "Columns"):
            for place in find(data, field)[:1]:
                data, changed = with_value(data, place, struct.pack("<H", 65535)), True
        parts[name] = data
    damaged = study.with_parts(parts, "huge claim")
    return damaged.refused("more pixels than bytes") if changed else damaged


def lost_slice(rng: np.random.Generator, study: Study) -> Study:
    """Lose one file of many: no volume may be made of what is left."""
    if len(study.parts) < 8:
        return study
    name = pick(rng, study)
    rest = {key: data for key, data in study.parts.items() if key != name}
    return study.with_parts(rest, "one slice lost").refused("a slice is missing")


def lost_place(rng: np.random.Generator, study: Study) -> Study:
    """Lose a place inside the stack from every volume, so that all agree and none is whole."""
    places = sorted({name[-7:-4] for name in study.parts if name.endswith(".dcm")})
    if len(study.parts) < 8 or len(places) < 4:
        return study
    lost = places[int(rng.integers(1, len(places) - 1))]
    rest = {key: data for key, data in study.parts.items() if key[-7:-4] != lost}
    return study.with_parts(rest, f"place {lost} lost").refused("a slice is missing everywhere")


def copies(rng: np.random.Generator, study: Study) -> Study:
    """Send some files twice, under other names."""
    again = {f"copy_{pick(rng, study)}": study.parts[pick(rng, study)] for _ in range(3)}
    return study.with_parts({**study.parts, **again}, "copies")


def shuffled(rng: np.random.Generator, study: Study) -> Study:
    """Rename every file, so that names give no order."""
    order = rng.permutation(len(study.parts))
    contents = list(study.parts.values())
    return study.with_parts({f"{k:04d}": contents[int(i)] for k, i in enumerate(order)}, "renamed")


def strangers(rng: np.random.Generator, study: Study) -> Study:
    """Mix files in that are no diffusion images: a localizer, a report, pictures, nothing."""
    name = pick(rng, study)
    data = study.parts[name]
    report, localizer = data, data
    for place in find(data, "SOPClassUID")[:1]:
        report = with_value(data, place, b"1.2.840.10008.5.1.4.1.1.11.1\0")
    for place in find(data, "ImageType")[:1]:
        localizer = with_value(data, place, b"ORIGINAL\\PRIMARY\\LOCALIZER ")
    for place in find(localizer, "SOPInstanceUID")[:1]:
        localizer = with_value(localizer, place, f"{UID_ROOT}.99".encode())
    others = {"a_report": report, "a_localizer": localizer, "DICOMDIR": b"", "x.txt": b"hello",
              "x.png": b"\x89PNG\r\n\x1a\n"}  # fmt: skip
    return study.with_parts({**others, **study.parts}, "strangers among the files")


def nested(rng: np.random.Generator, study: Study) -> Study:
    """Put sequences into sequences, thousands deep, before the pixels."""
    name = pick(rng, study)
    data = study.parts[name]
    places = find(data, "PixelData")
    depth = int(rng.choice([50, 1000, 20_000]))
    opening = struct.pack("<HH2sHI", 0x0040, 0x0275, b"SQ", 0, 0xFFFFFFFF)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    end = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    start = places[-1].start if places else len(data)
    deep = (opening + item) * depth + (end * depth if rng.random() < 0.7 else b"")
    return study.with_part(name, data[:start] + deep + data[start:], f"{depth} deep")


def frames_changed(rng: np.random.Generator, study: Study) -> Study:
    """Lose, repeat or move a frame's description, or leave one of its groups out."""
    name = pick(rng, study)
    try:
        dataset = pydicom.dcmread(io.BytesIO(study.parts[name]))
    except Exception:  # noqa: BLE001 - damaged before; there is nothing left to know
        return study
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        return moved_slice(rng, study)
    frames = dataset.PerFrameFunctionalGroupsSequence
    number, kind = int(rng.integers(len(frames))), int(rng.integers(4))
    why: str | None = "a frame is described wrongly"
    if kind == 0:
        del frames[number]
    elif kind == 1:
        frames.append(frames[number])
    elif kind == 2:
        frames[number].PlanePositionSequence[0].ImagePositionPatient[2] += 3.0
    else:
        group = str(rng.choice([one.keyword for one in frames[number]]))
        del frames[number][group]
        why = None
    stream = io.BytesIO()
    dataset.save_as(stream)
    damaged = study.with_part(name, stream.getvalue(), f"frame {number} changed ({kind})")
    return damaged if why is None else damaged.refused(why)


def moved_slice(rng: np.random.Generator, study: Study) -> Study:
    """Move one slice, along the normal or across."""
    name = pick(rng, study)
    data = study.parts[name]
    places = find(data, "Position")
    if len(study.parts) < 8 or not places:
        return study
    numbers = data[places[0].value : places[0].value + places[0].length].split(b"\\")
    axis = int(rng.integers(3))
    numbers[axis] = b"%.2f" % (float(numbers[axis]) + float(rng.choice([-4.0, 4.0, 2.5])))
    value = b"\\".join(numbers)
    value += b" " * (len(value) % 2)
    return study.with_part(name, with_value(data, places[0], value), "a slice moved").refused(
        "a slice lies elsewhere"
    )


def device_in_numbers(rng: np.random.Generator, study: Study) -> Study:
    """Put the scanner's serial number or the patient where numbers are read, in every file."""
    field = str(rng.choice(["PixelSpacing", "Position", "Orientation", "RescaleSlope",
                            "NumberOfFrames", "InstanceNumber", "SliceThickness"]))  # fmt: skip
    value = str(rng.choice([SERIAL, PATIENT])).encode()
    parts = dict(study.parts)
    for name, data in study.parts.items():
        for place in reversed(find(data, field)):
            data = with_value(data, place, value + b" " * (len(value) % 2))
        parts[name] = data
    return study.with_parts(parts, f"{field} names somebody")


def _odd(rng: np.random.Generator, place: Element) -> bytes:
    values = _OF_VR.get(place.vr.decode(), _TEXTS)
    value = values[int(rng.integers(len(values)))]
    return value + b" " * (len(value) % 2) if place.vr in (b"DS", b"IS", b"CS", b"LO") else value


DICOM_MUTATORS: Mapping[str, Mutator] = {
    "odd-value": odd_value,
    "odd-value-again": odd_value,
    "odd-everywhere": odd_everywhere,
    "odd-everywhere-again": odd_everywhere,
    "wrong-vr": wrong_vr,
    "wrong-length": wrong_length,
    "huge-claim": huge_claim,
    "lost-slice": lost_slice,
    "lost-place": lost_place,
    "moved-slice": moved_slice,
    "frames-changed": frames_changed,
    "copies": copies,
    "shuffled": shuffled,
    "strangers": strangers,
    "nested": nested,
    "phi-in-numbers": device_in_numbers,
}
