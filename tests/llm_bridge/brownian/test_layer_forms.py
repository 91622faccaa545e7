"""How a layer depends on its weights: found by trying, or refused by name."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")
import transformers  # noqa: E402
from function_space_readings import (  # noqa: E402
    DENSE,
    Odd,
    RMSNorm,
    Scaled,
    dense,
    layer_norm,
    noise_of,
)  # fmt: skip
from torch import nn  # noqa: E402

from llm_bridge.brownian.function_space import FunctionSpaceNoise  # noqa: E402
from llm_bridge.brownian.layer_forms import (  # noqa: E402
    dense_shape,
    gain_of,
    is_shift,
    token_scale,
)
from llm_bridge.errors import UnsupportedNoiseError  # noqa: E402


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


class OtherLinear(nn.Linear):
    """Not torch's own: found by trying, as a quantised one is."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x @ self.weight.mT).clone() + self.bias


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_forms_are_found(dtype: torch.dtype) -> None:
    def form(module: nn.Module, name: str) -> object:
        module = copy.deepcopy(module).to(dtype)
        vector = getattr(module, name).ndim == 1
        if not vector:
            scale = token_scale(module)
            return dense_shape(module, name) if scale is None else scale
        gain = gain_of(module, name)
        if is_shift(module, name):
            return "shift"
        if gain is None:
            return None
        return gain.divisor is not None, gain.offset is not None

    llama = transformers.models.llama.modeling_llama.LlamaRMSNorm(12)
    gemma = transformers.models.gemma.modeling_gemma.GemmaRMSNorm(12)
    assert form(nn.Linear(12, 40), "weight") == (40, 12)
    assert form(OtherLinear(12, 40), "weight") == (40, 12)
    assert form(dense("conv1d"), "weight") == (40, 12)
    for layer in (*map(dense, DENSE), nn.Linear(12, 12)):
        assert form(layer, "bias") == "shift"
    assert form(nn.Embedding(5, 10), "weight") == 1.0
    assert form(Scaled(5, 10), "weight") == pytest.approx(3.0, rel=0.01)
    assert form(llama, "weight") == form(RMSNorm(), "weight") == (True, False)
    assert form(gemma, "weight") == form(RMSNorm(1.0), "weight") == (True, False)
    assert form(layer_norm(), "weight") == (True, True)
    assert form(layer_norm(), "bias") == "shift"
    assert form(RMSNorm(zero=True), "weight") == (False, False)
    assert form(layer_norm(True), "weight") == (False, False)
    assert form(Odd(), "vector") is None
    assert form(Odd(), "matrix") is None


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (Odd(), "matrix"),
        (Odd(), "vector"),
        (nn.Conv1d(6, 6, 1), "weight"),
        (nn.Embedding(6, 6, max_norm=1.0), "weight"),
        (nn.MultiheadAttention(6, 2), "in_proj_weight"),
        (nn.Bilinear(6, 6, 6), "weight"),
    ],
)
def test_layers_of_unknown_form_are_refused_by_name(module: nn.Module, name: str) -> None:
    whole = nn.Sequential(module)
    with pytest.raises(UnsupportedNoiseError, match=rf"^0\.{name} .*machine='copies'") as caught:
        FunctionSpaceNoise(whole, noise_of("quenched", where=f"*{name}"))
    assert "\n" not in str(caught.value)
    assert type(module).__name__ in str(caught.value)
