"""The gateway's deployment: HTTP in, the core over the other deployments' handles, a report out.

Nothing of a report is kept here, and nothing but ids, codes and times is logged.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from pirta.contracts.release import Release
from pirta.log import make_logger
from pirta.settings import Settings
from serve_apps.door import check_door
from serve_apps.handles import ports_on_handles
from serve_apps.http_app import make_http_app


@serve.ingress()
class Gateway:
    """One replica. Serve asks it for its ASGI application once it is constructed."""

    def __init__(
        self,
        settings: Settings,
        release: Release,
        *,
        preprocessor: DeploymentHandle[Any],
        encoder: DeploymentHandle[Any],
        retriever: DeploymentHandle[Any],
        writer: DeploymentHandle[Any],
    ) -> None:
        check_door(settings.gateway)
        self._settings = settings
        self._release = release
        self._ports = ports_on_handles(
            preprocessor=preprocessor, encoder=encoder, retriever=retriever, writer=writer
        )

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Return the application (the name is Serve's)."""
        return make_http_app(
            self._ports, settings=self._settings, release=self._release, log=make_logger()
        )
