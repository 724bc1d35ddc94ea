"""Talks HTTP to the running service, and turns its answers into contracts or typed errors."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import httpx
from pydantic import TypeAdapter, ValidationError

from pirta.contracts.quality import GateResult
from pirta.contracts.report import Report
from pirta.contracts.study import Registry, parse_registry
from pirta.errors import (
    FileMissingError,
    FileUnreadableError,
    PirtaError,
    QualityError,
    RegistryError,
    UnavailableError,
    error_classes,
)
from pirta.imaging.collect import collect_files

_GATES = TypeAdapter(list[GateResult])
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def read_study_file(path: Path, *, role: str) -> bytes:
    """Return a file's bytes.

    Raises:
        FileMissingError: there is no such file, or it is empty.
        FileUnreadableError: it may not be read.
    """
    if not path.is_file():
        raise FileMissingError(
            f"The {role} file {path} does not exist.", remedy="Name an existing file."
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FileUnreadableError(
            f"The {role} file {path} cannot be read ({error.strerror}).",
            remedy="Check its permissions.",
        ) from None
    if not data:
        raise FileMissingError(f"The {role} file {path} is empty.", remedy="Export it again.")
    return data


def read_study_folder(path: Path) -> bytes:
    """Return a study as one file: an archive or a DICOM file as it is, a folder as a zip.

    Hidden files stay behind; the folder's files keep their relative names, which link a sidecar
    to its image.

    Raises:
        FileMissingError: nothing lies there, or nothing is in it.
        FileUnreadableError: a file may not be read.
        ArchiveError: the folder holds more than a study can.
    """
    if not path.is_dir():
        return read_study_file(path, role="study")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in collect_files(str(path)).items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED, compresslevel=1)
    return packed.getvalue()


def read_registry_file(path: Path) -> Registry:
    """Return the registry row of a JSON file.

    Raises:
        FileMissingError: there is no such file.
        RegistryError: it holds no JSON object, or a field cannot be used.
    """
    if not path.is_file():
        raise FileMissingError(
            f"The registry file {path} does not exist.", remedy="Name an existing JSON file."
        )
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise RegistryError(
            f"The registry file {path} is not JSON.", remedy="Write one JSON object, UTF-8."
        ) from None
    return parse_registry(fields)


class ServiceClient:
    """One service by its address. Each call opens its own connection."""

    def __init__(self, url: str, *, token: str | None, timeout_s: float) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._timeout_s = timeout_s

    def report(
        self,
        *,
        dwi: bytes | None = None,
        adc: bytes | None = None,
        b0: bytes | None = None,
        study: bytes | None = None,
        b_value_s_mm2: float | None = None,
        registry: Registry | None = None,
        study_id: str | None = None,
        patient_id: str | None = None,
        site: str | None = None,
    ) -> Report:
        """Send one study and return its report.

        Args:
            study: one archive or DICOM file; else DWI with ADC map, or with b0 and b value.

        Raises:
            PirtaError: whatever the service answered, as the class of its code.
            UnavailableError: nothing answers at the address, or not in time.
        """
        fields = {"study_id": study_id, "patient_id": patient_id, "site": site}
        data = {name: value for name, value in fields.items() if value is not None}
        if registry is not None:
            data["registry"] = registry.model_dump_json(exclude_none=True)
        if b_value_s_mm2 is not None:
            data["b_value"] = f"{b_value_s_mm2:g}"
        images = {"dwi": dwi, "adc": adc, "b0": b0, "study": study}
        files = {
            name: (name, content, "application/octet-stream")  # a file's own name stays here
            for name, content in images.items()
            if content is not None
        }
        response = self._post(data, files)
        if response.status_code != httpx.codes.OK:
            raise error_of_response(response)
        try:
            return Report.model_validate_json(response.content)
        except ValidationError:
            raise UnavailableError(
                f"{self._url} answered with something that is no report.",
                remedy="Check that the address is a PIRTA gateway of this version.",
            ) from None

    def _post(
        self, data: dict[str, str], files: dict[str, tuple[str, bytes, str]]
    ) -> httpx.Response:
        """Send the form and return the answer, whatever it says.

        Raises:
            UnavailableError: there is none.
        """
        try:
            return httpx.post(
                f"{self._url}/v1/reports",
                data=data,
                files=files,
                headers=self._headers,
                timeout=self._timeout_s,
                # A proxy of the environment has no business with images for this machine.
                trust_env=httpx.URL(self._url).host not in _LOOPBACK,
            )
        except httpx.TimeoutException:
            raise UnavailableError(
                f"No answer from {self._url} within {self._timeout_s:g} s.",
                remedy="Try again, or raise --timeout-s.",
            ) from None
        except httpx.TransportError:
            raise UnavailableError(
                f"Nothing answers at {self._url}.",
                remedy="Start the service with `pirta serve` or `make demo`, or name it by --url.",
            ) from None


def error_of_response(response: httpx.Response) -> PirtaError:
    """Return the typed error that a service's answer stands for."""
    try:
        body = response.json()["error"]
        code, message, remedy = body["code"], body["message"], body["remedy"]
    except (ValueError, KeyError, TypeError):
        return UnavailableError(
            f"The service answered {response.status_code} in an unknown form.",
            remedy="Check that the address is a PIRTA gateway.",
        )
    if code == QualityError.code:
        return QualityError(message, remedy=remedy, gates=_gates_of(body))
    by_code = {kind.code: kind for kind in error_classes()}
    return by_code.get(code, PirtaError)(message, remedy=remedy)


def _gates_of(body: dict[str, object]) -> tuple[GateResult, ...]:
    """Return the quality gates' results, or none where they came in an unknown form."""
    try:
        return tuple(_GATES.validate_python(body.get("gates", ())))
    except ValidationError:  # of another version of the service; the message tells the reasons
        return ()
