"""The gateway's deployment: HTTP in, the core over the other deployments' handles, a report out.

It alone decides which release a request gets. Nothing of a report is kept here but which cases it
cited, and nothing but ids, codes and times is logged.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from pirta.log import make_logger
from pirta.settings import Settings
from serve_apps.door import check_door
from serve_apps.handles import HandleControl, ports_on_handles
from serve_apps.http_app import make_http_app
from serve_apps.replica import open_store
from serve_apps.retriever import open_index
from serve_apps.store_access import StoreAccess


@serve.ingress()
class Gateway:
    """One replica. Serve asks it for its ASGI application once it is constructed."""

    def __init__(
        self,
        settings: Settings,
        *,
        preprocessor: DeploymentHandle[Any],
        encoder: DeploymentHandle[Any],
        retriever: DeploymentHandle[Any],
        writer: DeploymentHandle[Any],
        control: DeploymentHandle[Any],
    ) -> None:
        check_door(settings.gateway)
        self._settings = settings
        self._releases = StoreAccess(open_store(settings.releases))
        self._control = HandleControl(control)
        self._ports = ports_on_handles(
            preprocessor=preprocessor, encoder=encoder, retriever=retriever, writer=writer
        )

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Return the application (the name is Serve's)."""
        return make_http_app(
            self._ports,
            releases=self._releases,
            control=self._control,
            index=open_index(self._settings.index),
            settings=self._settings,
            log=make_logger(),
        )
