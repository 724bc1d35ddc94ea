"""The release control's deployment: one replica that keeps engines and begins the long steps.

It stands in no request's way: reports go on while it is away, and a new one finds the engines that
run and the states that the store holds.
"""

from __future__ import annotations

import asyncio
import threading

from pirta.errors import PirtaError
from pirta.log import make_logger
from pirta.releases.store import ReleaseStore
from pirta.settings import Settings
from serve_apps.engines import EngineKeeper, StartEngine
from serve_apps.operations import Operation, OperationRequest, Operations, RunOperation
from serve_apps.replica import open_store


class ReleaseControl:
    """Looks about once a second which engines are wanted; takes steps when it is told to."""

    def __init__(
        self, settings: Settings, *, start_engine: StartEngine, run_operation: RunOperation
    ) -> None:
        self._poll_s = settings.releases.poll_s
        self._log = make_logger()
        self._releases: ReleaseStore = open_store(settings.releases)
        self._engines = EngineKeeper(settings, start_engine, log=self._log)
        self._operations = Operations(settings, run_operation)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    async def check_engine(self, base_sha256: str) -> None:
        """Return if the engine of a base is up.

        Raises:
            UnavailableError: it is being started.
            PirtaError: it could not be started.
        """
        self._engines.check(base_sha256)

    async def begin(self, request: OperationRequest) -> Operation:
        """Begin a step of a release's life.

        Raises:
            ReleaseStateError: the same step is going on.
        """
        operation = await asyncio.to_thread(self._operations.begin, request)
        self._log.info("operation begun", run=operation.operation_id, stage=operation.kind)
        return operation

    async def operations(self) -> tuple[Operation, ...]:
        """Return the last steps, the latest last."""
        return await asyncio.to_thread(self._operations.all)

    def check_health(self) -> None:
        """Tell Serve that engines are being kept (the name is Serve's)."""
        assert self._thread.is_alive()

    def _keep(self) -> None:
        while not self._stopped.wait(self._poll_s):
            try:
                self._engines.step(self._releases.wanted())
            except PirtaError as error:  # the store does not answer: what runs stays
                self._log.warning("engines not looked at", code=error.code)

    def __del__(self) -> None:
        if hasattr(self, "_stopped"):
            self._stopped.set()
