"""Noise so large that logits are no numbers: one error, by every machine, and nothing changed."""

from __future__ import annotations

import hashlib
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from llm_bridge.brownian import FunctionSpaceNoise, WeightNoise, sample_logits  # noqa: E402
from llm_bridge.brownian.noise import LAWS  # noqa: E402
from llm_bridge.brownian.overflow import naming_the_limit, require_numbers  # noqa: E402
from llm_bridge.brownian.selection import selected_tensors  # noqa: E402
from llm_bridge.cli import main  # noqa: E402
from llm_bridge.decoding import generate  # noqa: E402
from llm_bridge.errors import NoiseOverflowError  # noqa: E402
from llm_bridge.models import LanguageModel  # noqa: E402

MACHINES = ("copies", "function_space", "regenerate", "auto")
PATHS: dict[str, dict[str, Any]] = {
    "quenched": {},
    "annealed": {"correlation": "annealed"},
    "ou": {"correlation": "ou", "tau": 3.0},
}
LIMIT = re.compile(r"^sigma = \S+ on .*; accepted: a smaller sigma, .* up to about (\S+)\.$")


@pytest.fixture(scope="module")
def ids(model: LanguageModel, text: str) -> np.ndarray:
    return model.encode(text)[:12]


def traces(model: LanguageModel) -> tuple[str, int]:
    """The bits of the weights, and how many hooks there are."""
    state = model.torch_module.state_dict().values()
    hooks = [
        len(layer._forward_pre_hooks) + len(layer._forward_hooks)
        for layer in model.torch_module.modules()
    ]
    return hashlib.sha256(b"".join(w.numpy().tobytes() for w in state)).hexdigest(), sum(hooks)


def limit_in(error: NoiseOverflowError) -> float:
    found = LIMIT.match(str(error))
    assert found, str(error)
    return float(found[1])


@pytest.mark.parametrize("sigma", [1e6, 1e15, 1e20, 1e30, 1e35])
@pytest.mark.parametrize("where", ["all", "head", "norm", "mlp", "embedding", "attention"])
def test_no_size_gives_what_are_no_numbers(
    model: LanguageModel, ids: np.ndarray, where: str, sigma: float
) -> None:
    """Refused, or finite logits that differ from each other, far from what counts as a mask.

    (A norm undoes the size of what it reads, so not every place has a limit below 1e20.)
    """
    before = traces(model)
    limits = []
    for machine in MACHINES:
        try:
            noisy = sample_logits(model, ids, WeightNoise(sigma, where=where), 2, machine)
        except NoiseOverflowError as error:
            limits.append(limit_in(error))
        else:
            assert np.isfinite(noisy).all()
            assert noisy.min() > -32752
            assert noisy.std(axis=2).min() > 1e-3
    assert all(limit < sigma for limit in limits)
    assert traces(model) == before


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("where", ["all", "head", "norm"])
def test_the_limit_is_where_numbers_end(
    model: LanguageModel, ids: np.ndarray, where: str, machine: str
) -> None:
    """At the σ that is named there are numbers, a hundred times beyond there are none."""
    with pytest.raises(NoiseOverflowError) as caught:
        sample_logits(model, ids, WeightNoise(1e25, where=where), 2, machine)
    most = limit_in(caught.value)
    sample_logits(model, ids, WeightNoise(most, where=where), 1, machine, antithetic=False)
    with pytest.raises(NoiseOverflowError):
        sample_logits(model, ids, WeightNoise(100 * most, where=where), 2, machine)


@pytest.mark.parametrize("law", LAWS)
def test_every_law(model: LanguageModel, ids: np.ndarray, law: str) -> None:
    with pytest.raises(NoiseOverflowError) as caught:
        sample_logits(model, ids, WeightNoise(1e30, law=law), 2)
    assert limit_in(caught.value) < 1e10


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("machine", ["copies", "function_space"])
def test_along_a_path_and_in_written_text(
    model: LanguageModel, ids: np.ndarray, machine: str, path: str
) -> None:
    before = traces(model)
    noise = WeightNoise(1e30, **PATHS[path])
    with pytest.raises(NoiseOverflowError) as caught:
        sample_logits(model, ids, noise, 2, machine)
    assert limit_in(caught.value) < 1e10
    tokens = generate(model, "def", 1.0, max_tokens=3, seed=1, noise=noise, machine=machine)
    with pytest.raises(NoiseOverflowError) as caught:
        next(tokens)
    assert limit_in(caught.value) < 1e10
    assert traces(model) == before


def test_a_norm_would_hide_it(model: LanguageModel, ids: np.ndarray) -> None:
    """Negative control: without a look at what layers read, all logits are 0, "T = ∞"."""
    noise = WeightNoise(1e9)
    chosen = selected_tensors(model.torch_module, noise)
    assert {tensor.name for tensor in chosen} >= {"model.norm.weight"}
    kicked = {t.name: t.tensor + t.size * torch.randn_like(t.tensor) for t in chosen}
    assert not model.logits(ids, kicked).any()
    with pytest.raises(NoiseOverflowError, match="reads has squares beyond float32"):
        sample_logits(model, ids, noise, 1)


def test_a_reading_by_hand(model: LanguageModel, ids: np.ndarray) -> None:
    before = traces(model)
    tokens = torch.from_numpy(ids)[None]
    with (
        FunctionSpaceNoise(model, WeightNoise(1e30)) as reading,
        torch.no_grad(),
        pytest.raises(NoiseOverflowError, match="accepted: a smaller sigma"),
    ):
        model.torch_module(tokens)
    assert reading.positions == 0
    assert traces(model) == before


def test_weak_noise_is_not_watched(model: LanguageModel) -> None:
    """One layer and its noise have a hook; nothing else is slowed down."""
    with FunctionSpaceNoise(model, WeightNoise(1.0, where="head")):
        assert traces(model)[1] == 3
    with FunctionSpaceNoise(model, WeightNoise(1.1, where="head")):
        assert traces(model)[1] > 20


def test_noise_beyond_float32_on_one_tensor() -> None:
    module = torch.nn.Linear(2, 2)
    with torch.no_grad():
        module.bias.fill_(100.0)
    with pytest.raises(NoiseOverflowError, match=r"1e\+36 is noise of 1e\+38 on bias; at most"):
        selected_tensors(module, WeightNoise(1e36))


def test_half_precision_holds_less(model: LanguageModel) -> None:
    """65 504 is the largest float16: beyond it there was infinity, and a warning of NumPy's."""
    noise = WeightNoise(1.0)
    logits = np.full((1, model.vocabulary_size), 1e5)
    require_numbers(model, noise, logits)
    with pytest.raises(NoiseOverflowError, match=r"beyond 6\.55e\+04"):
        require_numbers(model, noise, logits, np.float16)


def test_masks_of_the_model_itself_are_accepted(model: LanguageModel) -> None:
    """Tokens that the model masks without noise may be masked with it, others not."""

    class Masking:
        def logits(self, ids: object) -> np.ndarray:
            return np.array([[0.0, -np.inf, 1.0]])

    masking: Any = Masking()
    noise = WeightNoise(2.0)
    require_numbers(masking, noise, np.array([[3.0, -np.inf, 4.0]]))
    for bad in ([-np.inf, -np.inf, 0.0], [np.nan, -np.inf, 0.0], [0.0, -np.inf, np.inf]):
        with pytest.raises(NoiseOverflowError):
            require_numbers(masking, noise, np.array([bad]))


def test_trials_are_few_and_their_other_errors_come_through() -> None:
    tried: list[float] = []

    def read(noise: WeightNoise) -> None:
        tried.append(noise.sigma)
        if noise.sigma > 3e4:
            raise NoiseOverflowError("too much")

    whole = pytest.raises(NoiseOverflowError, match=r"^no, .* up to about 10000\.$")
    with whole, naming_the_limit(WeightNoise(1e30), read):
        raise NoiseOverflowError("no")
    assert len(tried) <= 6
    with pytest.raises(KeyError), naming_the_limit(WeightNoise(1e30), read):
        raise KeyError


@pytest.mark.parametrize(
    "words",
    [
        ("brownian", "TEXT", "--sigma", "1e30", "--draws", "2", "--positions", "8"),
        ("brownian", "TEXT", "--sigma", "0.1,1e30", "--draws", "2", "--positions", "8", "--json"),
        ("brownian", "TEXT", "--sigma", "1e308"),
        ("generate", "def f(", "--brownian", "sigma=1e30"),
        ("generate", "def f(", "--brownian", "sigma=1e30,tau=5,machine=copies"),
        ("generate", "def f(", "--brownian", "sigma=1e308"),
    ],
)
def test_the_command_line(
    model_folder: Path,
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    words: tuple[str, ...],
) -> None:
    """One line on standard error, exit status 2, nothing on standard output."""
    path = tmp_path / "text.txt"
    path.write_text(text, encoding="utf-8")
    given = [str(path) if word == "TEXT" else word for word in words]
    argv = ["spinlogit", *given, "--model", str(model_folder)]
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # which main replaces
    with pytest.raises(SystemExit) as done:
        main()
    out, error = capfd.readouterr()
    assert done.value.code == 2
    assert out == ""
    said = [line for line in re.split(r"[\r\n]", error) if "sigma = 1e+30" in line]
    assert len(said) == 1
    assert "accepted" in said[0]
    assert "Traceback" not in error
