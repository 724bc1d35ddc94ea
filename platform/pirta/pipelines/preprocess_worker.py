"""One worker of the preprocessing job: a skull stripper, and studies one after the other.

A study is committed here, right after its arrays, so that whoever is killed loses at most the
study in hand. A study that cannot be used becomes a dead letter with its code and reason, and so
does one that ended this process too often, or runs too long. What cannot be written is the
run's error and not the study's. What the driver does is `pirta.pipelines.preprocess`.
"""

from __future__ import annotations

import faulthandler
import json
import os
import platform
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Timer
from typing import TypeVar

from pirta.cohort.prepared_rows import PreparedCase, Row, case_columns, to_row
from pirta.cohort.prepared_store import CaseArrays, write_case
from pirta.cohort.shards import Shard
from pirta.cohort.store_files import unwritable
from pirta.cohort.table import resolve_uri
from pirta.contracts.case import CaseRecord
from pirta.contracts.study import StudyImages
from pirta.errors import PirtaError, QualityError, StudyTimeoutError, WorkerLostError
from pirta.imaging.collect import collect_files
from pirta.imaging.nifti import read_file
from pirta.imaging.prepare import PreparedCaseVolumes, fingerprint, prepare_case
from pirta.imaging.strip import Stripper, make_stripper
from pirta.pipelines.pseudonyms import patient_pseudonym
from pirta.settings import PreprocessingSettings, Settings

TIMEOUT_EXIT_CODE = 70
_HARD_STOP_AFTER_S = 30.0

_T = TypeVar("_T")

StripperMaker = Callable[[PreprocessingSettings], Stripper]


@dataclass(frozen=True)
class Work:
    """What every worker of a run knows.

    Attributes:
        manifest: where relative URIs start.
        origin: run_id, pirta_version and commit, for each row.
        make_stripper: called once a worker.
        patient_key: of the patients' pseudonyms where a folder is scanned; None: as they stand.
    """

    manifest: str
    settings: Settings
    origin: dict[str, str]
    make_stripper: StripperMaker = field(default=make_stripper)
    patient_key: str | None = None


class StudyPreparer:
    """One worker: a stripper, and studies one after the other."""

    def __init__(self, *, work: Work, shard: Shard) -> None:
        self._work, self._shard = work, shard
        self._stripper = work.make_stripper(work.settings.preprocessing)
        self._fingerprint = fingerprint(work.settings.preprocessing)

    def __call__(self, item: Row) -> Row:
        """Return the committed row of a prepared case or of a dead letter.

        Args:
            item: `case_json`, `work_key`, and `shown_json`, the case as the store names it.

        Raises:
            StoreError: the store cannot be written.
        """
        case = CaseRecord.model_validate_json(str(item["case_json"]))
        shown = CaseRecord.model_validate_json(str(item["shown_json"]))
        row = self._store(lambda: self._shard.read_row(case.case_id))
        if row is not None:
            return row  # a worker died between the commit and its return
        note = f"{os.getpid()}@{platform.node()}"
        attempt = self._store(lambda: self._shard.begin_attempt(case.case_id, note))
        started, cpu_before = time.monotonic(), time.process_time()

        def finish(outcome: Row) -> Row:
            row: Row = {
                **case_columns(shown), "code": None, "fingerprint": self._fingerprint,
                "work_key": item["work_key"], "shard": self._shard.name, "attempt": attempt,
                "seconds": round(time.monotonic() - started, 3),
                "cpu_seconds": round(time.process_time() - cpu_before, 3),
                **self._work.origin, **outcome,
            }  # fmt: skip
            self._store(lambda: self._shard.commit_row(row))
            return row

        if attempt > self._work.settings.archive.max_attempts:
            return finish(_refusal(_lost(attempt - 1)))
        limit_s = _limit_s(self._work.settings)
        with _time_limit(limit_s, lambda: finish(_refusal(_too_long(limit_s)))):
            found, patient_id = self._prepare(case)
        if not isinstance(found, PreparedCaseVolumes):
            return finish(found)
        if patient_id is not None:
            shown = shown.model_copy(update={"patient_id": patient_id})
        return finish(to_row(self._store(lambda: self._write(shown, found))))

    def _prepare(self, case: CaseRecord) -> tuple[PreparedCaseVolumes | Row, str | None]:
        """Return the prepared volumes, or the refusal; never raises for a study.

        Beside it stands the patient's pseudonym where the images of a scanned study tell one.
        """
        settings = self._work.settings
        try:
            images = self._images(case)
            key = self._work.patient_key
            patient_id = None if key is None else patient_pseudonym(images.files.values(), key)
            found = prepare_case(
                images,
                mask=self._read(case.mask_uri, "mask"),
                territory=self._read(case.territory_uri, "territory"),
                settings=settings.preprocessing,
                quality=settings.quality_for(case.site),
                stripper=self._stripper,
            )
            return found, patient_id
        except PirtaError as error:
            return _refusal(error), None
        except Exception as error:  # noqa: BLE001 - the per-item boundary, kept as a dead letter
            return {"code": PirtaError.code, "reason": _where(error), "gates_json": "[]"}, None

    def _images(self, case: CaseRecord) -> StudyImages:
        if case.study_uri is not None:
            return StudyImages(
                files=collect_files(resolve_uri(self._work.manifest, case.study_uri))
            )
        return StudyImages(
            dwi=self._read(case.dwi_uri, "DWI"),
            adc=self._read(case.adc_uri, "ADC"),
            b0=self._read(case.b0_uri, "b0"),
            b_value_s_mm2=case.b_value_s_mm2,
        )

    def _read(self, uri: str | None, role: str) -> bytes | None:
        return None if uri is None else read_file(resolve_uri(self._work.manifest, uri), role=role)

    def _write(self, shown: CaseRecord, found: PreparedCaseVolumes) -> PreparedCase:
        return write_case(
            self._shard.root,
            shown,
            CaseArrays(found.study.volume_CXYZ, found.mask_XYZ, found.territory_XYZ),
            fingerprint=found.study.fingerprint,
            facts=found.study.facts,
            gates=found.study.gates,
            folder=self._shard.folder,
        )

    @staticmethod
    def _store(step: Callable[[], _T]) -> _T:
        """Do a step with the store; whatever fails there is the run's error."""
        try:
            return step()
        except PirtaError:
            raise
        except Exception as error:  # storage libraries raise kinds of their own
            raise unwritable(error) from error


@contextmanager
def _time_limit(limit_s: float, on_timeout: Callable[[], object]) -> Iterator[None]:
    """End this process when the block takes too long, once `on_timeout` has noted why.

    A thread ends it, as only that can stop native code; where native code even keeps the
    interpreter's lock, a watchdog outside the interpreter does, and the study counts as lost.
    """

    def give_up() -> None:
        try:
            on_timeout()
        finally:
            os._exit(TIMEOUT_EXIT_CODE)

    timer = Timer(limit_s, give_up)
    timer.daemon = True
    faulthandler.dump_traceback_later(limit_s + _HARD_STOP_AFTER_S, exit=True)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        faulthandler.cancel_dump_traceback_later()


def _refusal(error: PirtaError) -> Row:
    gates = error.gates if isinstance(error, QualityError) else ()
    text = json.dumps([one.model_dump(mode="json") for one in gates], ensure_ascii=False)
    return {"code": error.code, "reason": str(error), "gates_json": text}


def _limit_s(settings: Settings) -> float:
    """Return a study's time; a stripper that is another program has its own beside it."""
    external = settings.preprocessing.stripper == "external"
    strip_s = settings.preprocessing.strip_timeout_s if external else 0.0
    return settings.archive.study_timeout_s + strip_s


def _lost(num_lost: int) -> WorkerLostError:
    return WorkerLostError(
        f"The study ended the worker that prepared it {num_lost} times (killed, out of memory, or "
        "a crash in native code).",
        remedy="Look at the study's size and files, and at the memory of the machine.",
    )


def _too_long(limit_s: float) -> StudyTimeoutError:
    return StudyTimeoutError(
        f"The study took longer than {limit_s:g} s.",
        remedy="Raise archive.study_timeout_s, or look at the study's size and files.",
    )


def _where(error: Exception) -> str:
    """Name an unexpected error by kind and place: its text may hold patient data."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
    return f"Unexpected {type(error).__name__}{place}. Please report it."
