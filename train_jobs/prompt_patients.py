"""Which held-out patients the writer's prompts may be made of, and which are left to measure on.

The writer learns from patients whom the encoder did not learn from, and they are few. So they are
cut in two halves by a hash of the pseudonym: the same patient falls into the same half in every
store, machine and run, whatever else the store holds, lesions inserted into that brain included.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import assert_never


class Half(StrEnum):
    """Which patients to take."""

    PROMPTS = "prompts"
    EVALUATION = "evaluation"
    ALL = "all"


def is_for_prompts(patient_id: str) -> bool:
    """Say whether a patient belongs to the half that training prompts are made of.

    The other half is for measuring, and no prompt is ever made of it.
    """
    digest = hashlib.sha256(f"pirta writer prompts\n{patient_id}".encode()).digest()
    return digest[0] % 2 == 0


def is_in(half: Half, patient_id: str) -> bool:
    """Say whether a patient belongs to this half."""
    match half:
        case Half.PROMPTS:
            return is_for_prompts(patient_id)
        case Half.EVALUATION:
            return not is_for_prompts(patient_id)
        case Half.ALL:
            return True
        case _:
            assert_never(half)
