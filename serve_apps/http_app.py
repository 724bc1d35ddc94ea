"""The HTTP face of a report: routes over plain ports, the same in a test and under Serve.

POST /v1/reports   multipart: files dwi and adc, or dwi, b0 and b_value, or study (one archive);
                   fields registry (JSON), study_id, patient_id, site
GET  /v1/release   which release new requests get
GET  /healthz      the gateway is alive
GET  /readyz       every part can work with the active release
/v1/admin/...      the life of releases (see `admin_api`)
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from pirta.contracts.report import Report
from pirta.errors import PirtaError, UnavailableError
from pirta.retrieval.index import Index
from pirta.settings import Settings
from serve_apps.admin_api import admin_routes
from serve_apps.desk import Desk
from serve_apps.door import admit, check_door
from serve_apps.error_boundary import ErrorBoundary, answer_http_exception, answer_invalid_body
from serve_apps.ports import Control, Ports, ReadyCheck
from serve_apps.store_access import StoreAccess

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
    ports: Ports,
    *,
    releases: StoreAccess,
    control: Control,
    index: Index,
    settings: Settings,
    log: structlog.stdlib.BoundLogger,
) -> FastAPI:
    """Return the application; no report is searched in `index`, only the alias is moved there.

    Raises:
        SettingsError: the settings would leave the door open (see `door`).
    """
    check_door(settings.gateway)
    desk = Desk(ports, releases, settings, log)
    # The pages that describe the service stay inside, but for a demo.
    docs: dict[str, Any] = {} if settings.gateway.demo else {"openapi_url": None}
    app = FastAPI(title="PIRTA", summary="Preliminary reports for research use only.", **docs)
    app.add_middleware(ErrorBoundary, log=log)
    app.add_exception_handler(HTTPException, answer_http_exception)
    app.add_exception_handler(RequestValidationError, answer_invalid_body)

    @app.get("/healthz")
    async def healthz() -> dict[str, bool]:
        return {"alive": True}

    @app.get("/readyz")
    async def readyz() -> dict[str, bool]:
        active = await releases.active_release()
        await check_ready(ports.ready_checks, active.release_id)
        return {"ready": True}

    @app.get("/v1/release")
    async def served_release(request: Request) -> dict[str, object]:
        admit(request.headers.get("authorization"), settings.gateway)
        active = await releases.active_release()
        # Paths are the server's own business.
        hidden = {"encoder_path", "writer_base_path", "writer_adapter_path"}
        return {"release_id": active.release_id, **active.model_dump(exclude=hidden)}

    @app.post("/v1/reports", openapi_extra=_FORM)
    async def reports(request: Request) -> Report:
        caller = admit(request.headers.get("authorization"), settings.gateway)
        with desk:
            study = await desk.receive(request, caller)
            return await desk.report(study, caller, request_id=request.state.request_id)

    app.include_router(admin_routes(releases, control, index, settings, log))
    return app


async def check_ready(checks: Mapping[str, ReadyCheck], release_id: str) -> None:
    """Ask every part at once.

    Raises:
        UnavailableError: names the parts that cannot work, each with its code.
    """
    found = await asyncio.gather(*(_code_of(check, release_id) for check in checks.values()))
    unready = [f"{name} ({code})" for name, code in zip(checks, found, strict=True) if code]
    if unready:
        raise UnavailableError(f"Not ready: {', '.join(unready)}.", remedy="Try again later.")


async def _code_of(check: ReadyCheck, release_id: str) -> str | None:
    try:
        async with asyncio.timeout(_READY_TIMEOUT_S):
            await check(release_id)
    except PirtaError as error:
        return error.code
    except TimeoutError:
        return "no answer"
    return None
