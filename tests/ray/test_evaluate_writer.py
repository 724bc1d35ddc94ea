"""`pirta evaluate writer` with the real engine on a small store, and the engine's configuration.

Here and not in tests/unit, as vLLM takes many seconds to start; nothing starts Ray.
"""

from __future__ import annotations

import importlib
import json
import warnings
from pathlib import Path

from typer.testing import CliRunner

from pirta.models.config import tiny
from pirta.models.encoder import TerritoryEncoder
from pirta.models.runtime import save_encoder
from pirta.settings import WriterSettings
from pirta_cli.main import app
from train_jobs.writer_engine import engine_arguments


def test_the_engine_is_configured_as_the_service_configures_it() -> None:
    with warnings.catch_warnings():  # vLLM and torch warn of their own past when imported
        warnings.simplefilter("ignore")
        served = importlib.import_module("serve_apps.llm")
    for settings in (
        WriterSettings(),
        WriterSettings(accelerator="H100", tensor_parallel_size=2, dtype="bfloat16"),
    ):
        assert engine_arguments(settings) == served.engine_kwargs(settings)


def test_the_command_asks_the_real_engine_and_fills_one_folder(
    synthetic_store: str, tmp_path: Path
) -> None:
    encoder, out = tmp_path / "encoder", tmp_path / "out"
    encoder.mkdir()
    save_encoder(
        encoder,
        TerritoryEncoder(tiny()),
        run={},
        data_sha256="d" * 64,
        preprocessing_fingerprint="synthetic",
        metrics={},
        command="none",
    )
    words = [
        "evaluate", "writer", "--encoder", str(encoder), "--index", f"{synthetic_store}:train",
        "--data", f"held={synthetic_store}:val", "--out", str(out), "--num-resamples", "10",
    ]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    content = json.loads((out / "evaluation.json").read_text())
    systems = content["groups"][0]["systems"]
    # Held to the form by the engine: it cannot answer otherwise, whatever it is shown.
    for name in ("product", "no abstention", "no grounding", "no retrieval"):
        assert systems[name]["format validity"]["value"] == 1.0
    for name in ("product", "no abstention"):
        assert systems[name]["contradiction rate"]["value"] in (0.0, None)
    assert (out / "figures" / "text_and_image.png").is_file()
