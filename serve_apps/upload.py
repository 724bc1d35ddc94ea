"""Reads a study from a multipart form, within a size limit that holds while bytes arrive."""

from __future__ import annotations

import json
import re
import uuid

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.types import Message, Receive

from pirta.contracts.study import Registry, StudyFiles, StudyImages, parse_registry
from pirta.errors import FileMissingError, InputError, PayloadTooLargeError, RegistryError

_FIELDS = ("dwi", "adc", "registry", "study_id", "patient_id", "site")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_MB = 1024 * 1024
UNKNOWN_SITE = "unknown"


async def read_study(request: Request, *, max_upload_mb: int) -> StudyFiles:
    """Return the study in a request's form.

    Raises:
        PayloadTooLargeError: the body is larger than allowed, whatever its header says.
        FileMissingError: `dwi` or `adc` is not there, or empty.
        RegistryError: `registry` is no JSON object, or a field of it cannot be used.
        InputError: a field is unknown, or an id is no plain pseudonym.
    """
    limit = max_upload_mb * _MB
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(max_upload_mb)
    limited = Request(request.scope, _Limited(request.receive, limit, max_upload_mb))
    async with limited.form(max_files=len(_FIELDS), max_fields=len(_FIELDS)) as form:
        _check_fields(form)
        return StudyFiles(
            study_id=_plain_id(form, "study_id") or f"study-{uuid.uuid4().hex[:12]}",
            site=_plain_id(form, "site") or UNKNOWN_SITE,
            images=StudyImages(dwi=await _file(form, "dwi"), adc=await _file(form, "adc")),
            registry=_registry(form),
            patient_id=_plain_id(form, "patient_id"),
        )


class _Limited:
    """A request's `receive` that counts what comes in."""

    def __init__(self, receive: Receive, limit: int, max_upload_mb: int) -> None:
        self._receive, self._left, self._max_upload_mb = receive, limit, max_upload_mb

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise _too_large(self._max_upload_mb)
        return message


def _too_large(max_upload_mb: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(
        f"The upload is larger than {max_upload_mb} MB.",
        remedy="Send the pair as .nii.gz, or raise gateway.max_upload_mb.",
    )


def _check_fields(form: FormData) -> None:
    unknown = sorted({name for name in form if name not in _FIELDS})
    if unknown:
        # A name is the caller's text: shown as far as it is a plain word.
        shown = ", ".join(f"'{name}'" for name in unknown if _ID.fullmatch(name)) or "a field"
        raise InputError(f"The form holds {shown}.", remedy=f"Known: {', '.join(_FIELDS)}.")
    twice = sorted(name for name in set(form) if len(form.getlist(name)) > 1)
    if twice:
        raise InputError(
            f"The form holds {', '.join(twice)} more than once.", remedy="Send each field once."
        )


async def _file(form: FormData, name: str) -> bytes:
    part = form.get(name)
    data = await part.read() if isinstance(part, UploadFile) else b""
    if not data:
        problem = "is empty" if isinstance(part, UploadFile) else "is missing"
        raise FileMissingError(
            f"The {name.upper()} file {problem}.",
            remedy=f"Send it as the form file '{name}' (NIfTI, .nii or .nii.gz).",
        )
    return data


def _text(form: FormData, name: str) -> str | None:
    part = form.get(name)
    if isinstance(part, UploadFile):
        raise InputError(
            f"The field '{name}' came as a file.", remedy="Send it as a plain form field."
        )
    return part or None


def _plain_id(form: FormData, name: str) -> str | None:
    text = _text(form, name)
    if text is not None and not _ID.fullmatch(text):
        raise InputError(
            f"The {name} is no plain pseudonym ({len(text)} characters).",
            remedy="Use up to 128 letters, digits, dots, colons, hyphens and underscores.",
        )
    return text


def _registry(form: FormData) -> Registry:
    text = _text(form, "registry")
    if text is None:
        return Registry()
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise RegistryError(
            "The registry row is not JSON.", remedy="Send one JSON object in the field 'registry'."
        ) from None
    return parse_registry(fields)
