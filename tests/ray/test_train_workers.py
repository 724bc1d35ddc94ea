"""One worker or several, a copy each or cut over them: the same examples and the same curve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.ray.training import losses, run_group
from train_jobs.presets import MaeRun, mae_tiny


def _settings(**changes: object) -> MaeRun:
    fixed = {"num_workers": (1, 2), "batch_size": 1, "accumulate_steps": 2, "use_bf16": False}
    return mae_tiny().model_copy(update={**fixed, **changes})


@pytest.fixture(scope="module")
def undisturbed(synthetic_store: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one worker, from the first step to the last."""
    run_dir = tmp_path_factory.mktemp("undisturbed")
    run_group(_settings(), synthetic_store, run_dir, world=1)
    assert list(losses(run_dir)) == [1, 2, 3, 4, 5, 6]
    return run_dir


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_a_run_of_two_workers_that_goes_on_with_one_has_the_same_losses(
    undisturbed: Path, synthetic_store: str, tmp_path: Path, strategy: str
) -> None:
    settings = _settings(strategy=strategy)
    run_group(settings, synthetic_store, tmp_path, world=2, stop_after=4)
    assert list(losses(tmp_path)) == [1, 2, 3, 4]
    # The state of a network that was cut over two workers is whole, and read by one.
    run_group(settings, synthetic_store, tmp_path, world=1)
    one, other = losses(undisturbed), losses(tmp_path)
    assert list(one) == list(other)
    np.testing.assert_allclose(list(one.values()), list(other.values()), rtol=1e-5)
    last = "checkpoints/step-00000006/model.safetensors"
    expected, found = load_file(undisturbed / last), load_file(tmp_path / last)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-5)


def test_a_run_cut_over_two_workers_goes_on_from_the_state_of_one(
    undisturbed: Path, synthetic_store: str, tmp_path: Path
) -> None:
    settings = _settings(strategy="fsdp2", checkpoint_activations=True)
    run_group(settings, synthetic_store, tmp_path, world=1, stop_after=2)
    run_group(settings, synthetic_store, tmp_path, world=2)
    np.testing.assert_allclose(
        list(losses(undisturbed).values()), list(losses(tmp_path).values()), rtol=1e-5
    )
