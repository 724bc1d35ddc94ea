"""Every mistake a user or an operator can make, as one tree of typed errors.

Each class carries a stable `code` (of the HTTP contract and of dead-letter tables; docs/ERRORS.md
lists all). A message says what is wrong, with the numbers, a remedy what to do. Never patient data.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # only to name the gates' type; this module costs nothing
    from pydantic import BaseModel


class PirtaError(Exception):
    """Base of all errors meant for people: `message` is what happened, `remedy` what to do."""

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(message, remedy)
        self.message, self.remedy = message, remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}"

    def __reduce__(self) -> tuple[object, ...]:  # the default loses the keyword-only remedy
        return (partial(type(self), remedy=self.remedy), (self.message,), vars(self))


class InputError(PirtaError):
    """The caller handed over something that cannot be used."""

    code = "input_invalid"
    http_status = 422


class FileMissingError(InputError):
    """A named file does not exist or holds no bytes."""

    code = "file_missing"
    http_status = 400


class FileUnreadableError(InputError):
    """A file is not what its name claims, or is cut short."""

    code = "file_unreadable"


class ArchiveError(InputError):
    """An archive or a folder that cannot be unpacked: damaged, locked, nested, or too much."""

    code = "archive_invalid"


class GeometryError(InputError):
    """A volume's shape, affine or grid cannot be used."""

    code = "geometry_invalid"


class ChannelMismatchError(InputError):
    """DWI and ADC do not belong together: other grids, the same file twice, or swapped."""

    code = "channel_mismatch"


class IntensityError(InputError):
    """Voxel values that cannot come from a diffusion study: NaN, all zero, absurd ADC."""

    code = "intensity_invalid"


class BrainNotFoundError(InputError):
    """Skull stripping left no plausible brain."""

    code = "brain_not_found"


class RegistrationError(InputError):
    """A brain that cannot be brought onto the template, or not well enough to be used."""

    code = "registration_failed"


class QualityError(InputError):
    """A study that the quality gate refuses; `gates` holds every `contracts.quality.GateResult`."""

    code = "quality_refused"

    def __init__(self, message: str, *, remedy: str, gates: Sequence[BaseModel] = ()) -> None:
        super().__init__(message, remedy=remedy)
        self.gates = tuple(gates)


class SeriesError(InputError):
    """A DICOM study without a usable diffusion series: none found, incomplete, or ambiguous."""

    code = "series_invalid"


class RegistryError(InputError):
    """A registry field is unknown or outside its range."""

    code = "registry_invalid"


class ManifestError(InputError):
    """A cohort table or a folder lacks what a job needs."""

    code = "manifest_invalid"


class WorkerLostError(PirtaError):
    """A study ended the worker process that prepared it, each time it was tried."""

    code = "worker_lost"


class StudyTimeoutError(PirtaError):
    """A study took longer than `archive.study_timeout_s` and was given up."""

    code = "study_timeout"


class StoreError(PirtaError):
    """What a job writes to cannot be written: full, gone, or not allowed. The run ends."""

    code = "store_unwritable"


class SettingsError(PirtaError):
    """A setting is unknown, misspelt or outside its range."""

    code = "settings_invalid"


class StripperError(PirtaError):
    """The skull stripping program is missing, failed, ran too long, or left no usable mask."""

    code = "stripper_failed"


class CheckpointError(PirtaError):
    """A checkpoint is missing, damaged, or of another kind than asked for."""

    code = "checkpoint_invalid"


class FingerprintError(PirtaError):
    """Two parts were made with different preprocessing, and their numbers do not compare."""

    code = "fingerprint_mismatch"
    http_status = 409


class ReleaseError(PirtaError):
    """A release record is missing, or does not match the files it names."""

    code = "release_invalid"


class UnknownReleaseError(PirtaError):
    """The store, or a replica that was asked, does not hold this release."""

    code = "release_unknown"
    http_status = 404


class ReleaseStateError(PirtaError):
    """A release's state does not allow the step that was asked for."""

    code = "release_state"
    http_status = 409


class ReplicasNotReadyError(ReleaseStateError):
    """A replica that lives does not hold the release (any more), so requests may not go to it."""

    code = "replicas_not_ready"


class ActivationConflictError(PirtaError):
    """Somebody else switched the active release in between."""

    code = "activation_conflict"
    http_status = 409


class MemoryShortError(PirtaError):
    """A second release does not fit beside the active one."""

    code = "memory_short"
    http_status = 507


class IndexRequestError(PirtaError):
    """A vector or a row that the index cannot take."""

    code = "index_request_invalid"


class CollectionExistsError(PirtaError):
    """A collection of this name is there already; nothing is ever overwritten."""

    code = "collection_exists"
    http_status = 409


class CollectionInUseError(PirtaError):
    """A collection that is aliased, or that a release still needs, cannot be dropped."""

    code = "collection_in_use"
    http_status = 409


class DuplicateCaseError(InputError):
    """One case stands twice in what was handed over, with different content."""

    code = "case_duplicate"
    http_status = 409


class CaseUnknownError(PirtaError):
    """No release's index holds this case."""

    code = "case_unknown"
    http_status = 404


class NoNeighboursError(PirtaError):
    """The index holds no case that this request may see."""

    code = "no_neighbours"
    http_status = 409


class WriterOutputError(PirtaError):
    """The language model returned text outside the report's form."""

    code = "writer_output_invalid"
    http_status = 502


class UnauthorizedError(PirtaError):
    """A request without a valid token."""

    code = "unauthorized"
    http_status = 401


class ForbiddenError(PirtaError):
    """A valid token that does not open this door."""

    code = "forbidden"
    http_status = 403


class PayloadTooLargeError(PirtaError):
    """An upload above the configured limit."""

    code = "payload_too_large"
    http_status = 413


class UnavailableError(PirtaError):
    """A part of the service cannot answer now; the request may be repeated."""

    code = "unavailable"
    http_status = 503


class NoActiveReleaseError(UnavailableError):
    """No release is active, so no report can be written yet."""

    code = "no_active_release"


class TrainingError(PirtaError):
    """A training job cannot start or go on."""

    code = "training_failed"


class OutOfFoldError(TrainingError):
    """An encoder was tuned on a patient it is asked about, or nothing proves that it was not."""

    code = "not_out_of_fold"


def error_classes() -> list[type[PirtaError]]:
    """Return every class of the tree, the base first, each once."""
    found: list[type[PirtaError]] = [PirtaError]
    for kind in found:
        found.extend(child for child in kind.__subclasses__() if child not in found)
    return found
