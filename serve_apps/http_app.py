"""The HTTP face of a report: routes over plain ports, the same in a test and under Serve.

POST /v1/reports   multipart: files dwi and adc, or dwi, b0 and b_value, or study (one archive);
                   fields registry (JSON), study_id, patient_id, site
GET  /v1/release   what is being served
GET  /healthz      the gateway is alive
GET  /readyz       every part can work
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException

from pirta.contracts.release import Release
from pirta.contracts.report import Report
from pirta.contracts.study import StudyFiles
from pirta.errors import PirtaError, UnavailableError
from pirta.reporting.study_report import report_study
from pirta.settings import Settings
from serve_apps.door import check_door, check_token
from serve_apps.error_boundary import ErrorBoundary, answer_http_exception
from serve_apps.ports import Ports, ReadyCheck
from serve_apps.upload import read_study

_READY_TIMEOUT_S = 5.0


def _file(description: str) -> dict[str, str]:
    return {"type": "string", "format": "binary", "description": description}


_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "anyOf": [
                        {"required": ["dwi", "adc"]},
                        {"required": ["dwi", "b0", "b_value"]},
                        {"required": ["study"]},
                    ],
                    "properties": {
                        "dwi": _file("the trace DWI: NIfTI, MetaImage or Enhanced DICOM"),
                        "adc": _file("the ADC map on the same grid, in any unit"),
                        "b0": _file("the b0 on the same grid; without an ADC map it makes one"),
                        "b_value": {"type": "number", "description": "of the DWI, in s/mm²"},
                        "study": _file(
                            "instead of the three: a zip, tar or tar.gz of a DICOM folder or of "
                            "NIfTI files with their sidecars, or one Enhanced DICOM file"
                        ),
                        "registry": {"type": "string", "description": "a JSON object"},
                        "study_id": {"type": "string"},
                        "patient_id": {"type": "string"},
                        "site": {"type": "string"},
                    },
                }
            }
        },
    }
}


def make_http_app(
    ports: Ports, *, settings: Settings, release: Release, log: structlog.stdlib.BoundLogger
) -> FastAPI:
    """Return the application.

    Raises:
        SettingsError: the settings would leave the door open (see `door`).
    """
    check_door(settings.gateway)
    desk = _Desk(ports, settings, release, log)
    # The pages that describe the service stay inside, but for a demo.
    docs: dict[str, Any] = {} if settings.gateway.demo else {"openapi_url": None}
    app = FastAPI(title="PIRTA", summary="Preliminary reports for research use only.", **docs)
    app.add_middleware(ErrorBoundary, log=log)
    app.add_exception_handler(HTTPException, answer_http_exception)

    @app.get("/healthz")
    async def healthz() -> dict[str, bool]:
        return {"alive": True}

    @app.get("/readyz")
    async def readyz() -> dict[str, bool]:
        await check_ready(ports.ready_checks)
        return {"ready": True}

    @app.get("/v1/release")
    async def served_release(request: Request) -> dict[str, object]:
        check_token(request.headers.get("authorization"), settings.gateway)
        # Paths are the server's own business.
        hidden = {"encoder_path", "writer_base_path", "writer_adapter_path"}
        return {"release_id": release.release_id, **release.model_dump(exclude=hidden)}

    @app.post("/v1/reports", openapi_extra=_FORM)
    async def reports(request: Request) -> Report:
        check_token(request.headers.get("authorization"), settings.gateway)
        with desk:
            study = await desk.receive(request)
            return await desk.report(study, request_id=request.state.request_id)

    return app


class _Desk:
    """Where reports are worked on: a bounded number at a time, each within its time."""

    def __init__(
        self, ports: Ports, settings: Settings, release: Release, log: structlog.stdlib.BoundLogger
    ) -> None:
        self._ports, self._settings, self._release, self._log = ports, settings, release, log
        self._settings_sha256 = settings.sha256()
        self._num_ongoing = 0

    def __enter__(self) -> None:
        limit = self._settings.scaling.gateway.max_ongoing_requests
        if self._num_ongoing >= limit:
            raise UnavailableError(
                f"{limit} reports are being worked on, as many as this gateway takes.",
                remedy="Try again later, or raise scaling.gateway.",
            )
        self._num_ongoing += 1

    def __exit__(self, *_error: object) -> None:
        self._num_ongoing -= 1

    async def receive(self, request: Request) -> StudyFiles:
        """Return the upload's study.

        Raises:
            InputError: the upload cannot be used.
            UnavailableError: it did not arrive within gateway.request_timeout_s.
        """
        gateway = self._settings.gateway
        try:
            async with asyncio.timeout(gateway.request_timeout_s):
                return await read_study(request, max_upload_mb=gateway.max_upload_mb)
        except TimeoutError:
            raise UnavailableError(
                f"The upload did not arrive within {gateway.request_timeout_s:g} s.",
                remedy="Try again over a faster line, or raise gateway.request_timeout_s.",
            ) from None

    async def report(self, study: StudyFiles, *, request_id: str) -> Report:
        """Return the study's report.

        Raises:
            PirtaError: what the core or a part raised.
            UnavailableError: not within gateway.request_timeout_s.
        """
        ids = {"request_id": request_id, "study_id": study.study_id}
        started_s = time.monotonic()
        timeout_s = self._settings.gateway.request_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                report = await report_study(
                    study,
                    release=self._release,
                    settings_sha256=self._settings_sha256,
                    top_k=self._settings.index.top_k,
                    preparer=self._ports.preparer,
                    encoder=self._ports.encoder,
                    retriever=self._ports.retriever,
                    writer=self._ports.writer,
                    on_stage=lambda stage, duration_s: self._log.info(
                        "stage ended", stage=stage, duration_s=duration_s, **ids
                    ),
                )
        except TimeoutError:
            raise UnavailableError(
                f"The report was not ready within {timeout_s:g} s.",
                remedy="Try again, or raise gateway.request_timeout_s.",
            ) from None
        self._log.info("report made", duration_s=time.monotonic() - started_s, **ids)
        return report


async def check_ready(checks: Mapping[str, ReadyCheck]) -> None:
    """Ask every part at once.

    Raises:
        UnavailableError: names the parts that cannot work, each with its code.
    """
    found = await asyncio.gather(*(_code_of(check) for check in checks.values()))
    unready = [f"{name} ({code})" for name, code in zip(checks, found, strict=True) if code]
    if unready:
        raise UnavailableError(f"Not ready: {', '.join(unready)}.", remedy="Try again later.")


async def _code_of(check: ReadyCheck) -> str | None:
    try:
        async with asyncio.timeout(_READY_TIMEOUT_S):
            await check()
    except PirtaError as error:
        return error.code
    except TimeoutError:
        return "no answer"
    return None
