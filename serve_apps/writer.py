"""The writer's deployment: one prompt to one constrained answer of the language model.

A replica holds, for every wanted release, the engine of its base and the adapter that it answers
with. It is ready for a release when that engine has answered with that adapter.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Collection
from dataclasses import dataclass
from typing import Any

from ray.exceptions import RayTaskError
from ray.serve.handle import DeploymentHandle

from pirta.contracts.release import Decoding, Release
from pirta.errors import UnavailableError
from pirta.log import make_logger
from pirta.reporting.answer import ANSWER_REGEX
from pirta.reporting.prompt import Prompt
from pirta.reporting.study_report import check_prompt
from pirta.settings import ReleasesSettings, WriterSettings
from serve_apps.engines import adapter_model_id, engine_app_name
from serve_apps.handles import call
from serve_apps.part_checks import check_checkpoint
from serve_apps.replica import hold_releases

_WARM_UP = Prompt(user="There is no diffusion restriction.")
_WARM_UP_DECODING = Decoding(max_answer_tokens=8)


@dataclass(frozen=True)
class AdaptedEngine:
    """An engine with the adapter that it answers with."""

    handle: DeploymentHandle[Any]
    adapter_id: str
    adapter_path: str
    adapter_sha256: str

    async def answer(self, prompt: Prompt, decoding: Decoding, *, answer_regex: str) -> str:
        """Return the model's text in the form of `answer_regex`.

        Raises:
            RegistryError: the prompt is longer than the model takes.
            UnavailableError: the engine cannot answer, or failed in a way of its own.
        """
        adapted = self.handle.options(multiplexed_model_id=self.adapter_id)
        try:
            text = await call(
                "language model",
                lambda: adapted.answer.remote(
                    prompt.messages,
                    model_id=self.adapter_id,
                    adapter_path=self.adapter_path,
                    adapter_sha256=self.adapter_sha256,
                    regex=answer_regex,
                    max_tokens=decoding.max_answer_tokens,
                    temperature=decoding.temperature,
                ),
            )
        except RayTaskError as error:  # what vLLM raised itself; its words may quote the prompt
            raise UnavailableError(
                f"The language model failed ({type(error.cause).__name__}).",
                remedy="Try again; see the engine's log if it goes on.",
            ) from None
        return str(text)


class AnswerLoader:
    """Has a release's engine started by the release control, and its adapter answer once."""

    def __init__(self, control: DeploymentHandle[Any], *, timeout_s: float) -> None:
        self._control, self._timeout_s = control, timeout_s

    def key(self, release: Release) -> str:
        """Return the hashes of base and adapter."""
        return f"{release.writer_base_sha256}/{release.writer_adapter_sha256}"

    def load(self, release: Release, held: Collection[Release]) -> AdaptedEngine:
        """Return the engine when it has answered with the release's adapter.

        Raises:
            UnavailableError: the engine is being started, or does not answer.
            ReleaseError: the adapter's folder cannot be used or holds another one, or the release
                was made with another prompt than this code's.
            PirtaError: the engine could not be started.
        """
        del held  # the control counts the memory of a second base
        check_prompt(release)
        check_checkpoint(release, "writer_adapter")
        return asyncio.run(self._warmed_up(release))

    def unload(self, part: AdaptedEngine) -> None:
        """Leave it: the engine drops adapters by itself, the control drops engines."""
        del part

    async def _warmed_up(self, release: Release) -> AdaptedEngine:
        await call(
            "release control",
            lambda: self._control.check_engine.remote(release.writer_base_sha256),
        )
        engine = AdaptedEngine(
            _engine_handle(release.writer_base_sha256),
            adapter_model_id(release.writer_adapter_sha256),
            release.writer_adapter_path,
            release.writer_adapter_sha256,
        )
        answer = engine.answer(_WARM_UP, _WARM_UP_DECODING, answer_regex=ANSWER_REGEX)
        await _within(self._timeout_s, answer)
        return engine


class Writer:
    """One replica: speaks to the engines, with each release's adapter and decoding."""

    def __init__(
        self,
        control: DeploymentHandle[Any],
        settings: WriterSettings,
        releases: ReleasesSettings,
    ) -> None:
        """Load what is wanted.

        Raises:
            UnavailableError: the store or the active release's engine does not answer.
        """
        self._timeout_s = settings.timeout_s
        loader = AnswerLoader(control, timeout_s=settings.timeout_s)
        self._releases = hold_releases(releases, loader, deployment="Writer")
        self._log = make_logger()

    async def write(self, prompt: Prompt, *, answer_regex: str, release_id: str) -> str:
        """Return the model's text in the form of `answer_regex`.

        Raises:
            UnknownReleaseError: this replica does not hold the release.
            RegistryError: the prompt is longer than the model takes.
            UnavailableError: no answer in time, or the engine cannot answer.
        """
        started_s = time.monotonic()
        held = self._releases.get(release_id)
        text = await _within(
            self._timeout_s,
            held.part.answer(prompt, held.release.decoding, answer_regex=answer_regex),
        )
        self._log.info("answer written", duration_s=time.monotonic() - started_s)
        return text

    async def ready(self, release_id: str) -> None:
        """Return if the release's engine says that it is well.

        Raises:
            UnknownReleaseError: this replica does not hold the release.
            UnavailableError: the engine does not answer.
        """
        handle = self._releases.get(release_id).part.handle
        await call("language model", lambda: handle.check_health.remote(), attempts=1)

    def check_health(self) -> None:
        """Tell Serve that this replica keeps in step with the store (the name is Serve's)."""
        self._releases.check_alive()

    def __del__(self) -> None:
        if hasattr(self, "_releases"):
            self._releases.stop()


def _engine_handle(base_sha256: str) -> DeploymentHandle[Any]:
    from ray import serve
    from ray.serve.exceptions import RayServeException

    try:
        return serve.get_app_handle(engine_app_name(base_sha256))
    except RayServeException:
        raise UnavailableError(
            f"The engine of the base {base_sha256[:12]} is gone.", remedy="Try again."
        ) from None


async def _within(timeout_s: float, answer: Awaitable[str]) -> str:
    try:
        async with asyncio.timeout(timeout_s):
            return await answer
    except TimeoutError:
        raise UnavailableError(
            f"The language model did not answer within {timeout_s:g} s.",
            remedy="Try again, or raise writer.timeout_s.",
        ) from None
