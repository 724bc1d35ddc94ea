"""Damage that knows nothing of a format: cut, flipped, overwritten, spliced, repeated bytes.

Each function takes a generator of random numbers and a study, and returns the damaged study.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from fuzz.study import Study

Mutator = Callable[[np.random.Generator, Study], Study]

HEADER_BYTES = 400


def pick(rng: np.random.Generator, study: Study) -> str:
    """Return one of the study's parts."""
    names = sorted(study.parts)
    return names[int(rng.integers(len(names)))] if names else ""


def leave(rng: np.random.Generator, study: Study) -> Study:
    """Change nothing: the control, which has to give the clean answer."""
    del rng
    return study


def truncate(rng: np.random.Generator, study: Study) -> Study:
    """Cut a part off at any byte, the first and the last among them."""
    name = pick(rng, study)
    data = study.parts[name]
    end = int(rng.choice([0, 1, 4, len(data) - 1, int(rng.integers(len(data) + 1))]))
    return study.with_part(name, data[: max(0, end)], f"cut at {end} of {len(data)}")


def flip_in_header(rng: np.random.Generator, study: Study) -> Study:
    """Flip one to eight bits in a part's first bytes."""
    name = pick(rng, study)
    return study.with_part(
        name, _flip(rng, study.parts[name], 0, HEADER_BYTES), "bits flipped in the header"
    )


def flip_anywhere(rng: np.random.Generator, study: Study) -> Study:
    """Flip one to eight bits anywhere in a part."""
    name = pick(rng, study)
    return study.with_part(
        name, _flip(rng, study.parts[name], 0, len(study.parts[name])), "bits flipped anywhere"
    )


def overwrite(rng: np.random.Generator, study: Study) -> Study:
    """Set a run of bytes to 0, to 255, or to noise."""
    name = pick(rng, study)
    data = bytearray(study.parts[name])
    if not data:
        return study
    start = int(rng.integers(min(len(data), HEADER_BYTES) if rng.random() < 0.5 else len(data)))
    num = min(len(data) - start, 2 ** int(rng.integers(0, 12)))
    fill = int(rng.integers(3))
    run = rng.bytes(num) if fill == 2 else bytes([255 * fill]) * num
    data[start : start + num] = run
    return study.with_part(name, bytes(data), f"{num} bytes at {start} set to {fill}")


def drop_bytes(rng: np.random.Generator, study: Study) -> Study:
    """Take a run of bytes out, so that all behind it moves."""
    name = pick(rng, study)
    data = study.parts[name]
    start = int(rng.integers(len(data) + 1))
    num = int(2 ** rng.integers(0, 10))
    return study.with_part(name, data[:start] + data[start + num :], f"{num} bytes lost at {start}")


def repeat_bytes(rng: np.random.Generator, study: Study) -> Study:
    """Put a run of bytes in twice."""
    name = pick(rng, study)
    data = study.parts[name]
    start = int(rng.integers(len(data) + 1))
    run = data[start : start + int(2 ** rng.integers(0, 10))]
    return study.with_part(name, data[:start] + run + data[start:], f"repeated at {start}")


def append(rng: np.random.Generator, study: Study) -> Study:
    """Let something follow a part: noise, zeros, or the part itself again."""
    name = pick(rng, study)
    data = study.parts[name]
    tails = (rng.bytes(100), bytes(1000), data)
    return study.with_part(name, data + tails[int(rng.integers(3))], "bytes appended")


def splice(rng: np.random.Generator, study: Study) -> Study:
    """Put the head of one part before the rest of another."""
    first, second = pick(rng, study), pick(rng, study)
    place = int(rng.integers(1, HEADER_BYTES))
    data = study.parts[first][:place] + study.parts[second][place:]
    return study.with_part(second, data, f"spliced at {place}")


def noise(rng: np.random.Generator, study: Study) -> Study:
    """Put bytes that mean nothing in place of a part."""
    num = int(rng.choice([0, 1, 3, 347, 348, 352, 600, 5000]))
    return study.with_part(pick(rng, study), rng.bytes(num), f"{num} bytes of noise")


def other_kinds(rng: np.random.Generator, study: Study) -> Study:
    """Put a file of another kind in place of a part: a picture, a page, a script, a pickle."""
    kinds = (
        b"\x89PNG\r\n\x1a\n" + bytes(200),
        b"\xff\xd8\xff\xe0" + bytes(200),
        b"%PDF-1.7\n" + bytes(200),
        b"<html><body>404</body></html>",
        b"#!/bin/sh\nexit 1\n",
        b"\x80\x04\x95" + bytes(50),
        b"\x7fELF" + bytes(400),
        "DOE^JANE;1;2;3\r\n".encode("utf-16"),
    )
    return study.with_part(pick(rng, study), kinds[int(rng.integers(len(kinds)))], "another kind")


def drop_part(rng: np.random.Generator, study: Study) -> Study:
    """Leave a part out."""
    name = pick(rng, study)
    rest = {key: data for key, data in study.parts.items() if key != name}
    return study.with_parts(rest, "one part missing")


def duplicate_part(rng: np.random.Generator, study: Study) -> Study:
    """Put one part in another's place, or send it again under another name in a bag."""
    first, second = pick(rng, study), pick(rng, study)
    if study.form == "bag" and rng.random() < 0.5:
        return study.with_part(f"again_{first}", study.parts[first], "one part twice")
    return study.with_part(second, study.parts[first], "one part in another's place")


def swap_roles(rng: np.random.Generator, study: Study) -> Study:
    """Exchange two parts' contents."""
    first, second = pick(rng, study), pick(rng, study)
    parts = {**study.parts, first: study.parts[second], second: study.parts[first]}
    return study.with_parts(parts, f"{first} and {second} swapped" if study.form == "named" else "")


def exchange_roles(rng: np.random.Generator, study: Study) -> Study:
    """Hand DWI and ADC over the wrong way round: found out once the brain is known."""
    del rng
    if not {"dwi", "adc"} <= set(study.parts):
        return study
    parts = {**study.parts, "dwi": study.parts["adc"], "adc": study.parts["dwi"]}
    return study.with_parts(parts, "DWI and ADC exchanged").refused("DWI and ADC are exchanged")


def _flip(rng: np.random.Generator, data: bytes, start: int, end: int) -> bytes:
    flipped = bytearray(data)
    end = min(end, len(data))
    for _ in range(int(rng.integers(1, 9)) if end > start else 0):
        flipped[int(rng.integers(start, end))] ^= 1 << int(rng.integers(8))
    return bytes(flipped)


BYTE_MUTATORS: Mapping[str, Mutator] = {
    "none": leave,
    "truncate": truncate,
    "flip-header": flip_in_header,
    "flip-anywhere": flip_anywhere,
    "overwrite": overwrite,
    "drop-bytes": drop_bytes,
    "repeat-bytes": repeat_bytes,
    "append": append,
    "splice": splice,
    "noise": noise,
    "other-kind": other_kinds,
    "drop-part": drop_part,
    "duplicate-part": duplicate_part,
    "swap-parts": swap_roles,
}
