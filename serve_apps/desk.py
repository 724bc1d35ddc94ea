"""Where reports are worked on: a bounded number at a time, each within its time and one release.

A request reads the active release once and keeps it to its end. What its report cites is kept in
the store before the answer leaves, in one step with a look at the withdrawn cases: one that is
withdrawn at any moment is either missing in the answer, or the answer is on the list of those that
cited it.
"""

from __future__ import annotations

import asyncio
import time
import uuid

import structlog
from starlette.requests import Request

from pirta.contracts.report import Report
from pirta.contracts.study import StudyFiles
from pirta.errors import UnavailableError
from pirta.reporting.study_report import report_study
from pirta.settings import Settings
from serve_apps.door import Caller
from serve_apps.ports import Ports
from serve_apps.store_access import StoreAccess
from serve_apps.upload import read_study

# A lease outlives the longest report by this much, should its gateway be killed.
_LEASE_MARGIN_S = 15.0
_MAX_REPORTS = 3


class Desk:
    """Takes studies in and gives reports out."""

    def __init__(
        self,
        ports: Ports,
        releases: StoreAccess,
        settings: Settings,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._ports, self._releases, self._settings, self._log = ports, releases, settings, log
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

    async def receive(self, request: Request, caller: Caller) -> StudyFiles:
        """Return the upload's study, at the caller's own site where its token has one.

        Raises:
            InputError: the upload cannot be used.
            UnavailableError: it did not arrive within gateway.request_timeout_s.
        """
        gateway = self._settings.gateway
        try:
            async with asyncio.timeout(gateway.request_timeout_s):
                return await read_study(
                    request, max_upload_mb=gateway.max_upload_mb, site=caller.site
                )
        except TimeoutError:
            raise UnavailableError(
                f"The upload did not arrive within {gateway.request_timeout_s:g} s.",
                remedy="Try again over a faster line, or raise gateway.request_timeout_s.",
            ) from None

    async def report(self, study: StudyFiles, caller: Caller, *, request_id: str) -> Report:
        """Return the study's report.

        Raises:
            PirtaError: what the core or a part raised.
            UnavailableError: not within gateway.request_timeout_s, or nothing is active.
        """
        started_s = time.monotonic()
        timeout_s = self._settings.gateway.request_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                report = await self._uncontradicted(study, caller, request_id)
        except TimeoutError:
            raise UnavailableError(
                f"The report was not ready within {timeout_s:g} s.",
                remedy="Try again, or raise gateway.request_timeout_s.",
            ) from None
        self._log.info(
            "report made",
            request_id=request_id,
            study_id=study.study_id,
            release_id=report.provenance.release_id,
            mode=report.mode,
            duration_s=time.monotonic() - started_s,
        )
        return report

    async def _uncontradicted(self, study: StudyFiles, caller: Caller, request_id: str) -> Report:
        """Return a report of whose evidence nothing was withdrawn until now."""
        for _ in range(_MAX_REPORTS):
            report = await self._on_one_release(study, caller, request_id)
            if report is not None:
                return report
        raise UnavailableError(
            f"Cases were withdrawn from the evidence {_MAX_REPORTS} times while the report was "
            "made.",
            remedy="Try again.",
        )

    async def _on_one_release(
        self, study: StudyFiles, caller: Caller, request_id: str
    ) -> Report | None:
        """Return a report, its citations kept; None where one of them was withdrawn meanwhile."""
        # Not the request's id: that is the caller's, who may send one twice at a time.
        lease_id = uuid.uuid4().hex
        ttl_s = self._settings.gateway.request_timeout_s + _LEASE_MARGIN_S
        ticket = await self._releases.begin_request(lease_id, ttl_s=ttl_s)
        try:
            report = await report_study(
                study,
                release=ticket.release,
                sites=caller.sites,
                withdrawn=ticket.withdrawn,
                settings_sha256=self._settings_sha256,
                top_k=ticket.release.calibration.num_neighbours(self._settings.index.top_k),
                writer_timeout_s=self._settings.writer.timeout_s,
                preparer=self._ports.preparer,
                encoder=self._ports.encoder,
                retriever=self._ports.retriever,
                writer=self._ports.writer,
                on_stage=lambda stage, duration_s: self._log.info(
                    "stage ended",
                    stage=stage,
                    duration_s=duration_s,
                    request_id=request_id,
                    study_id=study.study_id,
                ),
            )
        except BaseException:
            await self._give_up(lease_id)
            raise
        withdrawn = await self._releases.end_request(
            lease_id,
            study_id=study.study_id,
            cited=[case.case_id for case in report.evidence],
        )
        if withdrawn:
            self._log.info("evidence withdrawn", request_id=request_id, count=len(withdrawn))
            return None
        return report

    async def _give_up(self, lease_id: str) -> None:
        """End the lease of a request that failed, whatever becomes of its caller."""
        try:
            await asyncio.shield(self._releases.end_request(lease_id))
        except UnavailableError as error:  # the lease ends by itself; the first error is told
            self._log.warning("lease not ended", code=error.code)
