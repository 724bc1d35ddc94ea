"""LoRA on the CPU by adapter: the same numbers as vLLM's own functions, and vLLM finds them."""

from __future__ import annotations

import itertools
from importlib.metadata import entry_points
from typing import Any

import pytest
import torch

from serve_apps import lora_on_cpu

TOKENS, INPUTS, RANK, SLOTS, OUTPUTS = 9, 12, 4, 3, 10
# Of one adapter, of several in any order, and tokens without one (-1).
INDICES = ([1] * TOKENS, [0, 2, 1, 0, 0, 2, 1, 1, 0], [-1, 0, 0, -1, 2, -1, 0, 1, -1])


@pytest.fixture(scope="module")
def own() -> Any:
    """vLLM's own functions."""
    from vllm.lora.ops.torch_ops import lora_ops

    return lora_ops


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize(("indices", "has_layer"), list(itertools.product(INDICES, (False, True))))
def test_what_shrinks_gives_the_same(own: Any, indices: list[int], has_layer: bool) -> None:
    weights = drawn(SLOTS, RANK, INPUTS)
    weights = weights[:, None] if has_layer else weights
    ours, theirs = drawn(TOKENS, RANK + 2), drawn(TOKENS, RANK + 2)
    inputs = drawn(TOKENS, INPUTS)
    lora_on_cpu.bgmv_shrink(inputs, weights, ours, torch.tensor(indices), 0.5)
    own.bgmv_shrink(inputs, weights, theirs, torch.tensor(indices), 0.5)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    ("indices", "add", "width"),
    list(itertools.product(INDICES, (False, True), (OUTPUTS - 3, OUTPUTS))),
)
def test_what_expands_gives_the_same(own: Any, indices: list[int], add: bool, width: int) -> None:
    weights, inputs = drawn(SLOTS, 1, OUTPUTS, RANK), drawn(TOKENS, RANK)
    ours, theirs = drawn(TOKENS, width), drawn(TOKENS, width)
    lora_on_cpu.bgmv_expand(inputs, weights, ours, torch.tensor(indices), add)
    own.bgmv_expand(inputs, weights, theirs, torch.tensor(indices), add)
    torch.testing.assert_close(ours, theirs)
    wide = [drawn(TOKENS, 2 * OUTPUTS) for _ in range(2)]
    for functions, outputs in zip((lora_on_cpu, own), wide, strict=True):
        functions.bgmv_expand_slice(
            inputs, weights, outputs, torch.tensor(indices), 5, OUTPUTS, add
        )
    torch.testing.assert_close(*wide)


def test_one_token_stands_for_all_rows_as_with_vllm(own: Any) -> None:
    weights, inputs, indices = drawn(SLOTS, OUTPUTS, RANK), drawn(1, RANK), torch.tensor([2])
    ours, theirs = drawn(TOKENS, OUTPUTS), drawn(TOKENS, OUTPUTS)
    lora_on_cpu.bgmv_expand(inputs, weights, ours, indices)
    own.bgmv_expand(inputs, weights, theirs, indices)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("add", [False, True])
def test_an_index_may_stand_for_a_sequence(own: Any, add: bool) -> None:
    lengths, indices = torch.tensor([4, 2, 3]), torch.tensor([2, -1, 0])
    where = (torch.tensor([0, 4, 6]), lengths, indices, 3, 4, TOKENS)
    first, second = drawn(SLOTS, 1, RANK, INPUTS), drawn(SLOTS, 1, OUTPUTS, RANK)
    results = []
    for functions in (lora_on_cpu, own):
        ranks, outputs = drawn(TOKENS, RANK), drawn(TOKENS, OUTPUTS)
        sliced = drawn(TOKENS, 2 * OUTPUTS)
        functions.sgmv_shrink(drawn(TOKENS, INPUTS), first, ranks, *where, 2.0)
        functions.sgmv_expand(ranks, second, outputs, *where, add)
        functions.sgmv_expand_slice(ranks, second, sliced, *where, 1, OUTPUTS, add)
        results.append((ranks, outputs, sliced))
    torch.testing.assert_close(*results)


def test_vllm_finds_the_plugin_and_computes_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    (plugin,) = [one for one in entry_points(group="vllm.general_plugins") if "pirta" in one.name]
    from vllm.lora.punica_wrapper import punica_cpu
    from vllm.platforms import current_platform

    for name in [name for name in vars(punica_cpu) if name.startswith(("bgmv_", "sgmv_"))]:
        monkeypatch.setattr(punica_cpu, name, getattr(punica_cpu, name))  # put back afterwards
    monkeypatch.setattr(type(current_platform), "is_cpu", lambda _: False)
    plugin.load()()
    assert punica_cpu.sgmv_shrink is not lora_on_cpu.sgmv_shrink
    monkeypatch.setattr(type(current_platform), "is_cpu", lambda _: True)
    plugin.load()()
    for name in ("shrink", "expand", "expand_slice"):
        for kind in ("bgmv", "sgmv"):
            function = f"{kind}_{name}"
            assert getattr(punica_cpu, function) is getattr(lora_on_cpu, function)
