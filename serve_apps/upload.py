"""Reads a study from a multipart form, within a size limit that holds while bytes arrive.

Images come in one of three ways: `dwi` and `adc`; `dwi`, `b0` and `b_value`, from which the ADC is
computed; or `study`, one archive or DICOM file. Nothing is unpacked or looked into here: the
preprocessor does, away from the gateway.
"""

from __future__ import annotations

import json
import math
import re
import uuid

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from pirta.contracts.study import Registry, StudyFiles, StudyImages, parse_registry
from pirta.errors import FileMissingError, InputError, PayloadTooLargeError, RegistryError
from serve_apps.body_limit import limited

_IMAGE_FIELDS = ("dwi", "adc", "b0", "study")
FIELDS = (*_IMAGE_FIELDS, "b_value", "registry", "study_id", "patient_id", "site")
_MAX_B_S_MM2 = 10_000.0
_WAYS = "Send dwi and adc, or dwi, b0 and b_value, or the whole study as one archive in 'study'."
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_MB = 1024 * 1024
UNKNOWN_SITE = "unknown"


async def read_study(
    request: Request, *, max_upload_mb: int, site: str | None = None
) -> StudyFiles:
    """Return the study in a request's form; `site` is the token's, which overrules the form's.

    Raises:
        PayloadTooLargeError: the body is larger than allowed, whatever its header says.
        FileMissingError: an image file that the study needs is not there, or empty.
        RegistryError: `registry` is no JSON object, or a field of it cannot be used.
        InputError: a field is unknown, fields do not go together, `b_value` is no b value, or an
            id is no plain pseudonym.
    """
    small = limited(request, max_bytes=max_upload_mb * _MB, too_large=_too_large(max_upload_mb))
    async with small.form(max_files=len(FIELDS), max_fields=len(FIELDS)) as form:
        _check_fields(form)
        named_site = _plain_id(form, "site")
        return StudyFiles(
            study_id=_plain_id(form, "study_id") or f"study-{uuid.uuid4().hex[:12]}",
            site=site or named_site or UNKNOWN_SITE,
            images=await _images(form),
            registry=_registry(form),
            patient_id=_plain_id(form, "patient_id"),
        )


def _too_large(max_upload_mb: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(
        f"The upload is larger than {max_upload_mb} MB.",
        remedy="Send the pair as .nii.gz, or raise gateway.max_upload_mb.",
    )


def _check_fields(form: FormData) -> None:
    unknown = sorted({name for name in form if name not in FIELDS})
    if unknown:
        # A name is the caller's text: shown as far as it is a plain word.
        shown = ", ".join(f"'{name}'" for name in unknown if _ID.fullmatch(name)) or "a field"
        raise InputError(f"The form holds {shown}.", remedy=f"Known: {', '.join(FIELDS)}.")
    twice = sorted(name for name in set(form) if len(form.getlist(name)) > 1)
    if twice:
        raise InputError(
            f"The form holds {', '.join(twice)} more than once.", remedy="Send each field once."
        )


async def _images(form: FormData) -> StudyImages:
    found = {name: await _file(form, name) for name in _IMAGE_FIELDS if _is_sent(form, name)}
    b_value = _b_value(form)
    study = found.pop("study", None)
    if study is not None:
        if found:
            raise InputError(
                f"The form holds a whole study and {', '.join(found)} besides.", remedy=_WAYS
            )
        return StudyImages(files={"study": study}, b_value_s_mm2=b_value)
    if "dwi" not in found:
        raise FileMissingError("The DWI file is missing.", remedy=_WAYS)
    if "adc" not in found and "b0" not in found:
        raise FileMissingError("The ADC file is missing.", remedy=_WAYS)
    if "adc" not in found and b_value is None:
        raise InputError(
            "The ADC has to be computed from DWI and b0, and 'b_value' is missing.",
            remedy="Send the DWI's b value in s/mm² in the field 'b_value', or the ADC map.",
        )
    return StudyImages(
        dwi=found["dwi"], adc=found.get("adc"), b0=found.get("b0"), b_value_s_mm2=b_value
    )


def _is_sent(form: FormData, name: str) -> bool:
    """Say whether a field is there; a browser sends an unnamed empty file for one left open."""
    part = form.get(name)
    return part is not None and not (
        isinstance(part, UploadFile) and not part.filename and part.size == 0
    )


async def _file(form: FormData, name: str) -> bytes:
    part = form.get(name)
    role = name.upper() if name in ("dwi", "adc") else name
    if not isinstance(part, UploadFile):
        raise FileMissingError(
            f"The {role} file is missing: '{name}' came as text.",
            remedy=f"Send it as the form file '{name}'.",
        )
    data = await part.read()
    if not data:
        raise FileMissingError(f"The {role} file is empty.", remedy="Export or copy it again.")
    return data


def _b_value(form: FormData) -> float | None:
    text = _text(form, "b_value")
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= _MAX_B_S_MM2:
        raise InputError(
            "The field 'b_value' is no b value.",
            remedy=f"Send a number above 0 and up to {_MAX_B_S_MM2:.0f} (s/mm²), such as 1000.",
        )
    return value


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
