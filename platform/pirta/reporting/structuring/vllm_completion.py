"""The second reader's engine: vLLM in this process, on the CPU or a GPU, greedy and under a schema.

For a job on one machine (`pirta structure --llm`); the service has its own engine. Importing vLLM
takes some ten seconds, so it is imported where the engine is built.
"""

from __future__ import annotations

from typing import Any

from pirta.errors import CheckpointError, InputError
from pirta.settings import WriterSettings


class VllmCompletion:
    """One base model in memory; answers one turn at a time."""

    def __init__(self, settings: WriterSettings) -> None:
        """Load the base model of the settings.

        Raises:
            CheckpointError: there is no model in the settings' folder.
        """
        if not (settings.base_path / "config.json").is_file():
            raise CheckpointError(
                "writer.base_path holds no model (no config.json).",
                remedy="Point writer.base_path at a folder with a Hugging Face model.",
            )
        from vllm import LLM

        self._settings = settings
        self._llm = LLM(
            model=str(settings.base_path),
            dtype=settings.dtype,
            max_model_len=settings.max_model_tokens,
            gpu_memory_utilization=settings.memory_utilization,
            tensor_parallel_size=settings.tensor_parallel_size,
            enforce_eager=settings.accelerator is None,
            enable_prefix_caching=True,
            # JSON allows any white space, and a small model writes nothing else for ever.
            structured_outputs_config={"backend": "xgrammar", "disable_any_whitespace": True},
        )

    def complete(self, user: str, schema: dict[str, Any]) -> str:
        """Return the model's answer to one turn.

        Raises:
            InputError: the turn leaves no room for an answer.
        """
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        turn = [{"role": "user", "content": user}]
        tokenizer = self._llm.get_tokenizer()
        used = len(tokenizer.encode(user))
        room = self._settings.max_model_tokens - used - _TEMPLATE_TOKENS
        if room < self._settings.max_answer_tokens:
            raise InputError(
                f"The report takes {used} tokens; {self._settings.max_model_tokens} are there for "
                "report and answer.",
                remedy="Raise writer.max_model_tokens, or leave the report to the rules.",
            )
        sampling = SamplingParams(
            temperature=0.0,
            max_tokens=self._settings.max_answer_tokens,
            structured_outputs=StructuredOutputsParams(json=schema),
        )
        return str(self._llm.chat(turn, sampling, use_tqdm=False)[0].outputs[0].text)


_TEMPLATE_TOKENS = 32  # what the chat template puts around a turn
