"""Damage that knows NIfTI: absurd sides, spacing, types, offsets, scalings and turns.

Each function takes a generator of random numbers and a study, and returns the damaged study.
Packed files are unpacked, changed and packed again.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace

import nibabel as nib
import numpy as np

from fuzz.bombs import gzip_bomb
from fuzz.byte_mutators import Mutator, pick
from fuzz.study import PATIENT, Study

ABSURD = (0.0, -1.0, float("nan"), float("inf"), 1e30, -1e30, 1e-30, 1e5)
MAX_OPENED_BYTES = 2**24
HUGE_SIDES = ((1000, 1000, 1000), (32767, 32767, 32767), (32767, 1, 32767), (1290, 1290, 1290))


def is_image(data: bytes) -> bool:
    """Say whether a part is a NIfTI that can still be taken apart."""
    return _open(data) is not None


def absurd_spacing(rng: np.random.Generator, study: Study) -> Study:
    """Put an impossible number in place of a spacing, in pixdim and both forms."""

    def change(header: nib.Nifti1Header) -> None:
        axis, value = int(rng.integers(3)), float(rng.choice(ABSURD))
        header["pixdim"][axis + 1] = value
        for row, name in enumerate(("srow_x", "srow_y", "srow_z")):
            header[name][axis] = value if row == axis else 0
        if rng.random() < 0.3:
            header["sform_code"] = 0

    return _with_header(rng, study, change, "absurd spacing")


def absurd_place(rng: np.random.Generator, study: Study) -> Study:
    """Put impossible numbers in the affine: offsets, a singular matrix, a broken quaternion."""

    def change(header: nib.Nifti1Header) -> None:
        kind = int(rng.integers(4))
        if kind == 0:
            header[str(rng.choice(["srow_x", "srow_y", "srow_z"]))][3] = rng.choice(ABSURD)
        elif kind == 1:
            header["srow_x"] = header["srow_y"]
        elif kind == 2:
            header[str(rng.choice(["quatern_b", "quatern_c", "quatern_d"]))] = rng.choice(ABSURD)
            header["sform_code"] = 0
        else:
            header["sform_code"], header["qform_code"] = rng.integers(-2, 9, 2)

    return _with_header(rng, study, change, "absurd place")


def mirrored(rng: np.random.Generator, study: Study) -> Study:
    """Turn one of two forms in use to the other side: nobody knows left from right any more."""
    turned = []

    def change(header: nib.Nifti1Header) -> None:
        if header["sform_code"] > 0 and header["qform_code"] > 0:
            header["srow_x"] = -header["srow_x"]
            turned.append(True)

    damaged = _with_header(rng, study, change, "sform mirrored")
    return damaged.refused("left and right are unsure") if turned else study


def huge_claim(rng: np.random.Generator, study: Study) -> Study:
    """Claim a billion voxels and more."""

    def change(header: nib.Nifti1Header) -> None:
        sides = HUGE_SIDES[int(rng.integers(len(HUGE_SIDES)))]
        header["dim"][1:4] = sides
        if rng.random() < 0.3:
            header["dim"][0], header["dim"][4] = 4, 32767

    return _with_header(rng, study, change, "huge sides").refused("more voxels than bytes")


def odd_sides(rng: np.random.Generator, study: Study) -> Study:
    """Claim no, negative, few, or other sides, and other numbers of dimensions."""

    def change(header: nib.Nifti1Header) -> None:
        place = int(rng.integers(8))
        header["dim"][place] = int(rng.choice([0, -1, -32768, 1, 2, 3, 5, 6, 7, 8, 100, 32767]))

    return _with_header(rng, study, change, "odd sides")


def odd_type(rng: np.random.Generator, study: Study) -> Study:
    """Claim another voxel type or another size of it."""
    codes = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1280, 1536, 1792, 2048, 2304, 77)

    def change(header: nib.Nifti1Header) -> None:
        header["datatype"] = int(rng.choice(codes))
        if rng.random() < 0.5:
            header["bitpix"] = int(rng.choice([0, -8, 1, 8, 16, 32, 64, 128]))

    return _with_header(rng, study, change, "odd type")


def odd_offset(rng: np.random.Generator, study: Study) -> Study:
    """Put the voxels elsewhere."""
    values = (0, 1, -1, 348, 351, 353, 368, 544, 1e9, -1e9, 2**31, float("nan"), float("inf"))

    def change(header: nib.Nifti1Header) -> None:
        value = float(rng.choice(values))
        if header.sizeof_hdr == 540:
            value = value if np.isfinite(value) else float(2**62)
            header["vox_offset"] = int(value)
        else:
            header["vox_offset"] = value

    return _with_header(rng, study, change, "odd offset")


def odd_scaling(rng: np.random.Generator, study: Study) -> Study:
    """Scale the voxels by nothing, by something endless, or by next to nothing."""

    def change(header: nib.Nifti1Header) -> None:
        header[str(rng.choice(["scl_slope", "scl_inter"]))] = rng.choice(ABSURD)

    return _with_header(rng, study, change, "odd scaling")


def not_numbers(rng: np.random.Generator, study: Study) -> Study:
    """Store floats with NaN or infinity among them."""
    if (found := _pick_image(rng, study)) is None:
        return study
    name, raw, header = found
    offset = header.sizeof_hdr + 4
    sides = tuple(int(side) for side in header["dim"][1 : 1 + header["dim"][0]])
    num = int(np.prod(sides, dtype=np.int64))
    values = np.frombuffer(raw, np.int16, num, offset).astype(np.float32)
    values[rng.integers(0, num, 1 + int(rng.integers(50)))] = rng.choice([np.nan, np.inf, -np.inf])
    header["datatype"], header["bitpix"] = 16, 32
    data = header.binaryblock + bytes(4) + values.tobytes()
    return study.with_part(name, _pack(data, study.parts[name]), "NaN or infinity").refused(
        "voxels that are no numbers"
    )


def flat(rng: np.random.Generator, study: Study) -> Study:
    """Make every voxel the same."""
    if (found := _pick_image(rng, study)) is None:
        return study
    name, raw, header = found
    start = header.sizeof_hdr + 4
    data = raw[:start] + bytes([int(rng.choice([0, 1, 255]))]) * (len(raw) - start)
    return study.with_part(name, _pack(data, study.parts[name]), "flat").refused("no content")


def bomb(rng: np.random.Generator, study: Study) -> Study:
    """Let a packed file go on for gigabytes behind its header, which may claim them or not."""
    if (found := _pick_image(rng, study)) is None:
        return study
    name, raw, header = found
    if rng.random() < 0.5:
        header["dim"][:5] = [4, 1024, 1024, 512, 8]
        raw = header.binaryblock + bytes(4)
    prefix = raw[: header.sizeof_hdr + 4]
    data = gzip_bomb(prefix, 2**32 if rng.random() < 0.5 else 2**34)
    return study.with_part(name, data, "gzip bomb").refused("zeros without end")


def largest_claim(rng: np.random.Generator, study: Study) -> Study:
    """Claim as much as is allowed, or an eighth of it, and unpack to all of it."""
    if (found := _pick_image(rng, study)) is None:
        return study
    name, raw, header = found
    part = int(rng.choice([1, 8, 8, 8, 8]))
    if study.form == "bag":
        header["dim"][:5], num_voxels = [4, 128, 128, 128, 64 // part], 2**27 // part
    else:
        header["dim"][:5], num_voxels = [3, 512, 512, 256 // part, 1], 2**26 // part
    header["datatype"], header["bitpix"] = (64, 64) if rng.random() < 0.5 else (16, 32)
    voxels = raw[header.sizeof_hdr + 4 :]
    if rng.random() < 0.5:  # otherwise no volume varies, and the first one ends it
        voxels = np.linspace(1, 2, 2**15).tobytes()
    data = gzip_bomb(header.binaryblock + bytes(4) + voxels, int(1.05 * 8 * num_voxels))
    return study.with_part(name, data, f"all of {num_voxels} voxels").refused("a false checksum")


def odd_b_value(rng: np.random.Generator, study: Study) -> Study:
    """Tell a b value that cannot be, or that nobody used."""
    values = (float("nan"), float("inf"), -1000.0, 0.0, 1e-300, 1e300, 10.0, 3000.0, None)
    value = values[int(rng.integers(len(values)))]
    told = replace(study, b_value_s_mm2=value)
    return told.with_parts(study.parts, f"b value {value}")


def nested_gzip(rng: np.random.Generator, study: Study) -> Study:
    """Pack a part again, one to thirty times."""
    name = pick(rng, study)
    data = study.parts[name]
    times = int(rng.choice([1, 2, 5, 30]))
    for _ in range(times):
        data = gzip.compress(data, 1, mtime=0)
    return study.with_part(name, data, f"packed {times} times more")


def sidecars(rng: np.random.Generator, study: Study) -> Study:
    """Damage what is no image: b values missing, too many, words, NaN, the patient's name."""
    names = [name for name, data in sorted(study.parts.items()) if not is_image(data)]
    if study.form != "bag" or not names:
        return swap_ends(rng, study)
    texts = (
        b"", b"0 1000", b"0 1000 1000 1000 1000", b"nan nan nan nan", b"0 -1000 1000 1000",
        b"0 1e300 1000 1000", f"{PATIENT} 1000 1000 1000".encode(), b"[" * 100_000, b"\xff\xfe\0",
        b'{"a":' * 50_000, b"0,1000,1000,1000", b"0 1000 1000 1000 " * 10_000, b"0 0 0 0",
        b"1000 1000 1000 1000", b"0 2000 2000 2000", b"{}", b"null", b"1" * 5000,
    )  # fmt: skip
    name = names[int(rng.integers(len(names)))]
    return study.with_part(name, texts[int(rng.integers(len(texts)))], "sidecar damaged")


def swap_ends(rng: np.random.Generator, study: Study) -> Study:
    """Write the header in the other byte order and leave the voxels as they are."""
    if (found := _pick_image(rng, study)) is None:
        return study
    name, raw, header = found
    data = header.as_byteswapped().binaryblock + raw[header.sizeof_hdr :]
    return study.with_part(name, _pack(data, study.parts[name]), "header's byte order turned")


def _with_header(
    rng: np.random.Generator, study: Study, change: Callable[[nib.Nifti1Header], None], note: str
) -> Study:
    if (found := _pick_image(rng, study)) is None:
        return study
    name, raw, header = found
    with np.errstate(all="ignore"):
        change(header)
    data = header.binaryblock + raw[header.sizeof_hdr :]
    return study.with_part(name, _pack(data, study.parts[name]), note)


def _pick_image(
    rng: np.random.Generator, study: Study
) -> tuple[str, bytes, nib.Nifti1Header] | None:
    """Return one image's name, its unpacked bytes and its header; None where there is none."""
    names = [name for name, data in sorted(study.parts.items()) if is_image(data)]
    if not names:
        return None
    name = names[int(rng.integers(len(names)))]
    opened = _open(study.parts[name])
    return None if opened is None else (name, *opened)


def _open(data: bytes) -> tuple[bytes, nib.Nifti1Header] | None:
    """Return the unpacked bytes and the header, unchecked; None where that cannot be."""
    raw = data
    if data[:2] == b"\x1f\x8b":
        unpacker = zlib.decompressobj(wbits=31)
        try:
            raw = unpacker.decompress(data, MAX_OPENED_BYTES)
        except zlib.error:
            return None
        if not unpacker.eof:  # cut short, or a bomb already
            return None
    size = int.from_bytes(raw[:4], "little")
    if size not in (348, 540) or len(raw) < size:
        return None
    kind = nib.Nifti1Header if size == 348 else nib.Nifti2Header
    return raw, kind(raw[:size], endianness="<", check=False)


def _pack(data: bytes, like: bytes) -> bytes:
    return gzip.compress(data, 1, mtime=0) if like[:2] == b"\x1f\x8b" else data


NIFTI_MUTATORS: Mapping[str, Mutator] = {
    "absurd-spacing": absurd_spacing,
    "absurd-place": absurd_place,
    "mirrored-form": mirrored,
    "huge-claim": huge_claim,
    "odd-sides": odd_sides,
    "odd-type": odd_type,
    "odd-offset": odd_offset,
    "odd-scaling": odd_scaling,
    "not-numbers": not_numbers,
    "flat": flat,
    "bomb": bomb,
    "largest-claim": largest_claim,
    "odd-b-value": odd_b_value,
    "nested-gzip": nested_gzip,
    "sidecars": sidecars,
    "other-byte-order": swap_ends,
}
