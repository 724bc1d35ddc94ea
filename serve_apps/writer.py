"""The writer's deployment: one prompt to one constrained answer of the language model."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from ray.serve.handle import DeploymentHandle

from pirta.errors import UnavailableError
from pirta.log import make_logger
from pirta.reporting.answer import ANSWER_REGEX
from pirta.reporting.prompt import Prompt
from pirta.settings import WriterSettings
from serve_apps.handles import call


class Writer:
    """One replica: speaks to the engine with one adapter, greedily and in the report's form."""

    def __init__(
        self, engine: DeploymentHandle[Any], settings: WriterSettings, *, adapter_id: str
    ) -> None:
        self._engine = engine
        self._adapted = engine.options(multiplexed_model_id=adapter_id)
        self._adapter_id = adapter_id
        self._settings = settings
        self._log = make_logger()

    async def write(self, prompt: Prompt) -> str:
        """Return the model's text.

        Raises:
            RegistryError: the prompt is longer than the model takes.
            UnavailableError: no answer in time, or the engine cannot answer.
        """
        started_s = time.monotonic()
        timeout_s = self._settings.timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                text = await call("language model", lambda: self._send(prompt))
        except TimeoutError:
            raise UnavailableError(
                f"The language model did not answer within {timeout_s:g} s.",
                remedy="Try again, or raise writer.timeout_s.",
            ) from None
        self._log.info("answer written", duration_s=time.monotonic() - started_s)
        return str(text)

    def _send(self, prompt: Prompt) -> Any:
        return self._adapted.answer.remote(
            prompt.messages,
            model_id=self._adapter_id,
            regex=ANSWER_REGEX,
            max_tokens=self._settings.max_answer_tokens,
        )

    async def ready(self) -> None:
        """Return once the engine says that it is well."""
        await call("language model", lambda: self._engine.check_health.remote(), attempts=1)
