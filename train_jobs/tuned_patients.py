"""Which patients an encoder learnt from: `tuned_on.json` beside its weights.

An encoder knows the cases that it was trained on better than any other. Whoever measures it, or
makes training prompts with it, has to know which those are, and may hold nothing but the weights.
The file lists hashes of the patients' pseudonyms, sorted, and the checkpoint's manifest names it
with its sha256. It judges nothing; that is `out_of_fold`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from pirta.errors import CheckpointError
from pirta.models.checkpoint import file_sha256, read_manifest

TUNED_NAME = "tuned_on.json"
_HEX_DIGITS = 32


def patient_hash(patient_id: str) -> str:
    """Return a patient's name in the record: 32 hex digits that follow from the pseudonym."""
    return hashlib.sha256(f"pirta patient\n{patient_id}".encode()).hexdigest()[:_HEX_DIGITS]


def write_tuned(folder: Path, patients: Iterable[str]) -> None:
    """Write the record of patients, given by their hashes, before the manifest is written."""
    content = {"patients": sorted(set(patients))}
    (folder / TUNED_NAME).write_text(json.dumps(content, indent=0) + "\n", encoding="utf-8")


def read_tuned(folder: Path) -> frozenset[str] | None:
    """Return the hashes of the patients that a checkpoint learnt from.

    None where its manifest names no record: it was trained before there were any.

    Raises:
        CheckpointError: there is no checkpoint, or the record differs from the manifest.
    """
    known = read_manifest(folder).files.get(TUNED_NAME)
    if known is None:
        return None
    path = folder / TUNED_NAME
    if not path.is_file() or file_sha256(path) != known:
        raise CheckpointError(
            f"'{TUNED_NAME}' in {folder} is missing or differs from its manifest.",
            remedy="Copy the checkpoint again from where it was made.",
        )
    try:
        patients = json.loads(path.read_text(encoding="utf-8"))["patients"]
        return frozenset(str(patient) for patient in patients)
    except (ValueError, KeyError, TypeError):
        raise CheckpointError(
            f"'{TUNED_NAME}' in {folder} is no record of patients.",
            remedy="Copy the checkpoint again from where it was made.",
        ) from None
