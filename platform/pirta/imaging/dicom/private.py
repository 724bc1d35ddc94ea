"""Vendors' private elements: found by their creator's block, read whatever type they were left in.

An archive that does not know a vendor stores its elements as bytes of unknown kind; here they
are read as the numbers the vendor meant. What an element means is said where it is used.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

SIEMENS = "SIEMENS MR HEADER"
SIEMENS_CSA = "SIEMENS CSA HEADER"
GE_ACQUISITION = "GEMS_ACQU_01"
GE_PARAMETERS = "GEMS_PARM_01"
GE_RELATION = "GEMS_RELA_01"
PHILIPS = "Philips Imaging DD 001"
PHILIPS_MR = "Philips MR Imaging DD 001"
UIH = "Image Private Header"

_BLOCKS = range(0x10, 0x14)
_CREATOR_MISSING_BLOCK = 0x10


def private_value(dataset: Dataset, group: int, creator: str, element: int) -> Any:
    """Return the value of a private element, or None where it is absent.

    The creator's block is looked up; where a de-identifier took every creator of the group away
    and left the elements, the first block is taken, which is where vendors put them.
    """
    block = _find_block(dataset, group, creator)
    if block is None:
        return None
    found = dataset.get((group, (block << 8) + element))
    return None if found is None else found.value


def numbers_of(value: Any, code: str) -> tuple[float, ...]:
    """Return a value's numbers: a number, several, text with backslashes, or raw bytes.

    Args:
        code: how raw bytes are packed, a `struct` letter ("f", "d", "i"); "s" is text.
    """
    if value is None:
        return ()
    if isinstance(value, bytes):
        if code != "s":
            size = struct.calcsize(code)
            return tuple(np.frombuffer(value[: len(value) // size * size], f"<{code}").tolist())
        value = value.decode("latin-1").rstrip("\0 ")
    if isinstance(value, str):
        value = [part for part in value.split("\\") if part.strip()]
    parts = value if isinstance(value, (list, tuple)) or hasattr(value, "__iter__") else [value]
    return tuple(float(part) for part in parts)


def text_of(value: Any) -> str:
    """Return a value as text, without padding; empty where it is absent."""
    if value is None:
        return ""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return text.rstrip("\0 ").strip()


def csa_tags(dataset: Dataset) -> Mapping[str, Any]:
    """Return the tags of the Siemens CSA image header by name, empty where there is none.

    Raises:
        ValueError: the header is damaged.
    """
    block = private_value(dataset, 0x0029, SIEMENS_CSA, 0x10)
    if not isinstance(block, bytes) or not block:
        return {}
    from nibabel.nicom import csareader  # it warns when imported; see `parse.reading`

    try:
        tags = csareader.read(block)["tags"]
    except (csareader.CSAReadError, AssertionError, struct.error) as error:
        raise ValueError("damaged CSA header") from error
    return {name: tag["items"] for name, tag in tags.items()}


def csa_numbers(tags: Mapping[str, Any], name: str) -> tuple[float, ...]:
    """Return a CSA tag's numbers, empty where it is absent or holds none."""
    items = [item for item in tags.get(name) or () if item not in ("", None)]
    numbers = tuple(float(item) for item in items)
    return numbers if all(math.isfinite(number) for number in numbers) else ()


def _find_block(dataset: Dataset, group: int, creator: str) -> int | None:
    creators = {
        block: text_of(dataset[(group, block)].value)
        for block in _BLOCKS
        if (group, block) in dataset
    }
    for block, name in creators.items():
        if name.upper() == creator.upper():
            return block
    return None if creators else _CREATOR_MISSING_BLOCK
