"""Perturbed copies: frozen weights, weights drawn anew and wandering weights, along a sequence."""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from llm_bridge.brownian import WeightNoise, sample_logits
from llm_bridge.brownian.kicks import kick, stream_of
from llm_bridge.brownian.noise import LAWS
from llm_bridge.brownian.selection import selected_tensors
from llm_bridge.errors import UnsupportedNoiseError
from llm_bridge.models import LanguageModel

SEED = 20261121
TAU = 3.0
OU = {"correlation": "ou", "tau": TAU}
ANNEALED = {"correlation": "annealed"}
COMBINATIONS = [
    *((law, correlation) for law in LAWS for correlation in ("quenched", "annealed")),
    ("gaussian", "ou"),
    ("multiplicative", "ou"),
]


@pytest.fixture(scope="module")
def ids(model: LanguageModel, text: str) -> np.ndarray:
    return model.encode(text)[:12]


def fingerprint(model: LanguageModel) -> str:
    digest = hashlib.sha256()
    for name, tensor in model.torch_module.state_dict().items():
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


# --- against the same displacements, put in by hand -----------------------------------------------


def paths_by_hand(model: LanguageModel, noise: WeightNoise, length: int) -> dict[str, torch.Tensor]:
    """Displacements (N, *shape) of draw 0 at every position, from the definition."""
    paths = {}
    for tensor in selected_tensors(model.torch_module, noise):
        stream = stream_of(tensor, noise, 0)
        path = [kick(tensor, noise, stream)]
        for _ in range(length - 1):
            if noise.correlation == "quenched":
                path.append(path[-1])
            elif noise.correlation == "annealed":
                path.append(kick(tensor, noise, stream))
            else:
                rho = math.exp(-1 / TAU)
                fresh = kick(tensor, noise, stream)
                path.append(rho * path[-1] + math.sqrt(1 - rho**2) * fresh)
        paths[tensor.name] = torch.stack(path)
    return paths


def read_by_hand(
    model: LanguageModel, ids: np.ndarray, paths: dict[str, torch.Tensor]
) -> np.ndarray:
    """Logits of one pass over the whole text, every module adding what the displacements do.

    Attention is causal, so a position's keys and values are those that its own weights make.
    """
    module = model.torch_module

    def added(name: str, owner: torch.nn.Module) -> Callable:
        path = paths[name]

        def hook(_: torch.nn.Module, given: tuple, out: torch.Tensor) -> torch.Tensor:
            if isinstance(owner, torch.nn.Linear):
                return out + torch.einsum("nti,toi->nto", given[0], path)
            if isinstance(owner, torch.nn.Embedding):
                return out + path[torch.arange(given[0].shape[1]), given[0][0]][None]
            return out * (1 + path / owner.weight)  # a norm multiplies by its weights

        return hook

    handles = []
    for name in paths:
        owner = module.get_submodule(name.rpartition(".")[0])
        handles.append(owner.register_forward_hook(added(name, owner)))
    try:
        return model.logits(ids)
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.parametrize(("law", "correlation"), COMBINATIONS)
def test_every_position_is_read_by_its_own_weights(
    model: LanguageModel, ids: np.ndarray, law: str, correlation: str
) -> None:
    """Keys and values stay as the weights at their own position made them."""
    tau = TAU if correlation == "ou" else None
    noise = WeightNoise(0.1, law=law, correlation=correlation, tau=tau, seed=SEED)
    (noisy,) = sample_logits(model, ids, noise, 1, machine="copies")
    paths = paths_by_hand(model, noise, ids.size)
    expected = read_by_hand(model, ids, paths)
    print("ERR", np.abs(noisy - expected).max(), np.abs(noisy).max())
    np.testing.assert_allclose(noisy, expected, atol=2e-3, rtol=1e-4)
    # Negative control: the weights of the first position throughout are something else.
    frozen = {name: path[:1].expand_as(path) for name, path in paths.items()}
    apart = np.abs(noisy - read_by_hand(model, ids, frozen))[1:].max()
    assert apart < 1e-4 if correlation == "quenched" else apart > 0.3


def test_no_noise_is_the_clean_model(model: LanguageModel, ids: np.ndarray) -> None:
    clean = model.logits(ids)
    for change in ({}, ANNEALED, OU):
        noisy = sample_logits(model, ids, WeightNoise(0.0, **change), 2)
        assert np.array_equal(noisy, np.stack([clean, clean]))
        nearly = sample_logits(model, ids, WeightNoise(1e-12, **change), 2, machine="copies")
        np.testing.assert_allclose(nearly, noisy, atol=1e-4)


# --- the law along the sequence -------------------------------------------------------------------


def worst_moment(kicks: np.ndarray, covariance: np.ndarray) -> float:
    """Largest |z| of the second moments of kicks (draws, N, V), whitened by a covariance (N, N)."""
    n = kicks.shape[0] * kicks.shape[2]
    positions = len(covariance)
    white = np.linalg.solve(
        np.linalg.cholesky(covariance), kicks.transpose(1, 0, 2).reshape(positions, -1)
    )
    variance = np.where(np.eye(positions) == 1, 2.0, 1.0) / n
    return float(np.abs((white @ white.T / n - np.eye(positions)) / np.sqrt(variance)).max())


@pytest.mark.parametrize(
    ("law", "correlation"), [pair for pair in COMBINATIONS if pair[0] != "multiplicative"]
)
def test_head_noise_has_the_covariance_of_its_path(
    model: LanguageModel, ids: np.ndarray, law: str, correlation: str
) -> None:
    """Cov(δz_t, δz_s) = σ²s²·h_t·h_s·ρ^|t−s|, for every law; 6 positions, 40 draws, V outputs.

    Whitened, gaussian noise is 305·40 standard normals per position: largest |z| of 21 second
    moments below 5, false alarm 1.2e-5. Of the other laws only the trace is tested, from 40
    independent draws: false alarm 1e-5 for t of 39 degrees of freedom beyond 5.
    """
    with torch.no_grad():
        states = model.torch_module.model(input_ids=torch.from_numpy(ids[:6])[None])
    hidden = states.last_hidden_state[0].double().numpy()
    tau = TAU if correlation == "ou" else None
    noise = WeightNoise(0.05, law=law, where="head", correlation=correlation, tau=tau, seed=SEED)
    noisy = sample_logits(model, ids[:6], noise, 40, machine="copies", antithetic=False)
    kicks = noisy.astype(np.float64) - model.logits(ids[:6])
    (head,) = selected_tensors(model.torch_module, noise)
    gram = head.size**2 * hidden @ hidden.T
    gap = np.abs(np.subtract.outer(np.arange(6), np.arange(6)))

    def kernel(rho: float) -> np.ndarray:
        return gram * (gap == 0 if rho == 0 else rho**gap)

    right = {"quenched": 1.0, "annealed": 0.0, "ou": math.exp(-1 / TAU)}
    if law != "gaussian":
        factor = np.linalg.cholesky(kernel(right[correlation]))
        white = np.linalg.solve(factor, kicks)
        trace = (white**2).mean(axis=(1, 2))
        assert abs(trace.mean() - 1) < 5 * trace.std(ddof=1) / math.sqrt(40)
        return
    assert worst_moment(kicks, kernel(right[correlation])) < 5.0
    for other, rho in right.items():  # negative control: the other two kernels
        if other != correlation:
            assert worst_moment(kicks, kernel(rho)) > 20.0


def test_first_position_knows_no_correlation(model: LanguageModel, ids: np.ndarray) -> None:
    """One position is read by one draw of the weights, however they go on."""
    rows = [
        sample_logits(model, ids[:3], WeightNoise(0.1, seed=SEED, **change), 4, machine="copies")
        for change in ({}, ANNEALED, OU)
    ]
    for other in rows[1:]:
        np.testing.assert_allclose(other[:, 0], rows[0][:, 0], atol=1e-4)
        assert np.abs(other[:, 1] - rows[0][:, 1]).max() > 0.1


# --- draws ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{}, ANNEALED, OU], ids=["quenched", "annealed", "ou"])
def test_draws_depend_on_seed_and_number_only(
    model: LanguageModel, ids: np.ndarray, change: dict
) -> None:
    def drawn(draws: int, seed: int = SEED, antithetic: bool = True) -> np.ndarray:
        noise = WeightNoise(0.1, seed=seed, **change)
        return sample_logits(model, ids[:5], noise, draws, "copies", antithetic=antithetic)

    four = drawn(4)
    assert len({draw.tobytes() for draw in four}) == 4
    for fewer in (1, 2, 3):
        assert np.array_equal(drawn(fewer), four[:fewer])
    assert np.array_equal(drawn(2, antithetic=False), four[[0, 2]])
    assert not np.array_equal(drawn(2, seed=SEED + 1), four[:2])


@pytest.mark.parametrize("change", [{}, ANNEALED, OU], ids=["quenched", "annealed", "ou"])
def test_mirrored_draws_cancel_in_a_linear_layer(
    model: LanguageModel, ids: np.ndarray, change: dict
) -> None:
    noise = WeightNoise(0.2, where="head", **change)
    noisy = sample_logits(model, ids, noise, 4, machine="copies")
    clean = model.logits(ids)
    for plus, minus in noisy.reshape(2, 2, *clean.shape):
        np.testing.assert_allclose((plus + minus) / 2, clean, atol=2e-5)
        assert np.abs(plus - clean).max() > 0.1


# --- what is left behind, and what is refused -----------------------------------------------------


class Stopped(Exception):
    pass


@pytest.mark.parametrize("machine", ["copies", "regenerate"])
@pytest.mark.parametrize("failure", [KeyboardInterrupt, Stopped, MemoryError])
@pytest.mark.parametrize("calls", [0, 3, 8])
def test_weights_are_the_same_bits_afterwards(
    model: LanguageModel,
    ids: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    machine: str,
    failure: type[BaseException],
    calls: int,
) -> None:
    """Also when the model or the drawing of numbers dies in the middle of a draw."""
    before, clean = fingerprint(model), model.logits(ids)
    noise = WeightNoise(0.3)
    sample_logits(model, ids, noise, 2, machine=machine)
    assert fingerprint(model) == before

    def dying(work: Callable) -> Callable:
        left = iter(range(calls))

        def wrapper(*args: object, **kwargs: object) -> object:
            if next(left, None) is None:
                raise failure
            return work(*args, **kwargs)

        return wrapper

    module = model.torch_module
    layer = module.model.layers[1].mlp.down_proj
    for place, name in (
        (layer, "forward"),
        (np.random, "default_rng"),
        (torch, "add"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, dying(getattr(place, name)))
            with pytest.raises(failure):
                sample_logits(model, ids, noise, 12, machine=machine)
        vars(layer).pop("forward", None)  # monkeypatch leaves the bound method on the instance
        assert fingerprint(model) == before
        assert np.array_equal(model.logits(ids), clean)
        for submodule in module.modules():
            assert not submodule._forward_hooks
            assert not submodule._forward_pre_hooks
        for name, parameter in module.named_parameters():
            assert isinstance(parameter, torch.nn.Parameter), name


@pytest.mark.parametrize("change", [ANNEALED, OU], ids=["annealed", "ou"])
def test_interrupted_between_positions(
    model: LanguageModel, ids: np.ndarray, monkeypatch: pytest.MonkeyPatch, change: dict
) -> None:
    before = fingerprint(model)
    left: Iterator[int] = iter(range(5))
    read = type(model.torch_module).forward

    def forward(self: torch.nn.Module, *args: object, **kwargs: object) -> object:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return read(self, *args, **kwargs)

    forward.__signature__ = inspect.signature(read)  # type: ignore[attr-defined]
    monkeypatch.setattr(type(model.torch_module), "forward", forward)
    with pytest.raises(KeyboardInterrupt):
        sample_logits(model, ids, WeightNoise(0.3, **change), 4, machine="copies")
    assert fingerprint(model) == before


@pytest.mark.parametrize("change", [ANNEALED, OU], ids=["annealed", "ou"])
def test_beyond_the_context(model: LanguageModel, text: str, change: dict) -> None:
    long = model.encode(text)[:65]
    with pytest.raises(UnsupportedNoiseError, match="at most 64 positions, or 'quenched'"):
        sample_logits(model, long, WeightNoise(0.1, **change), 2, machine="copies")


class NoCache(torch.nn.Module):
    """A model that reads everything at once."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module
        self.config = module.config
        self.get_output_embeddings = module.get_output_embeddings

    def forward(self, input_ids: torch.Tensor, use_cache: bool = False) -> object:
        return self.module(input_ids=input_ids, use_cache=False)


def test_a_model_without_cache(model: LanguageModel, ids: np.ndarray) -> None:
    plain = LanguageModel(NoCache(model.torch_module), model.tokenizer)
    with pytest.raises(UnsupportedNoiseError, match="NoCache takes none; accepted: 'quenched'"):
        sample_logits(plain, ids, WeightNoise(0.1, **ANNEALED), 2, machine="copies")
    same = sample_logits(plain, ids, WeightNoise(0.1), 2, machine="copies")
    assert np.array_equal(same, sample_logits(model, ids, WeightNoise(0.1), 2, machine="copies"))
