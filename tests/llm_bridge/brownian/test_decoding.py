"""Text written with weights that fluctuate while they write."""

from __future__ import annotations

import gc
import hashlib
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from scipy.special import softmax  # noqa: E402
from scipy.stats import chi2  # noqa: E402

from llm_bridge.brownian.copies import displaced_copy, kicks_along  # noqa: E402
from llm_bridge.brownian.function_space import FunctionSpaceNoise  # noqa: E402
from llm_bridge.brownian.kicks import stream_of  # noqa: E402
from llm_bridge.brownian.noise import WeightNoise  # noqa: E402
from llm_bridge.brownian.probit import SLOPE_RATIO, probit_probabilities  # noqa: E402
from llm_bridge.brownian.selection import selected_tensors  # noqa: E402
from llm_bridge.decoding import generate  # noqa: E402
from llm_bridge.decoding.noisy_reader import (  # noqa: E402
    CopiesReader,
    FunctionSpaceReader,
    noisy_reader,
)
from llm_bridge.errors import UnsupportedNoiseError  # noqa: E402
from llm_bridge.models import LanguageModel  # noqa: E402
from thermo.errors import InvalidInputError  # noqa: E402

SEED = 20261122
PROMPT = "def energy(spins):"
PATHS: dict[str, dict[str, Any]] = {
    "quenched": {},
    "annealed": {"correlation": "annealed"},
    "ou": {"correlation": "ou", "tau": 3.0},
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        yield
    torch.set_num_threads(threads)


def written(model: LanguageModel, noise: WeightNoise | None, **options: Any) -> list[int]:
    options = {"max_tokens": 12, "seed": 1, "stop_at_end": False, **options}
    return [token.id for token in generate(model, PROMPT, math.inf, noise=noise, **options)]


def with_context(model: LanguageModel, tokens: int) -> LanguageModel:
    short = LanguageModel(model.torch_module, model.tokenizer)
    short.context_length = tokens
    return short


# --- it is the noise it says --------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
def test_greedy_text_is_what_the_noisy_model_says(model: LanguageModel, path: str) -> None:
    """The tokens written are the argmax of the same noise reading prompt and text at once.

    But for the head: of a prompt it reads the last position only, which has its first numbers then.
    """
    places = ("embedding", "attention", "mlp", "norm")
    noise = WeightNoise(0.3, where=places, seed=SEED, **PATHS[path])
    ids = written(model, noise)
    whole = np.concatenate([model.encode(PROMPT), ids])
    with FunctionSpaceNoise(model, noise):
        noisy = model.torch_module(input_ids=torch.from_numpy(whole)[None], use_cache=False).logits
    noisy = np.where(model.valid, noisy[0].numpy(), -np.inf)
    assert noisy[-len(ids) - 1 : -1].argmax(axis=1).tolist() == ids
    assert ids != written(model, None)


def test_frozen_copies_write_what_they_say(model: LanguageModel) -> None:
    noise = WeightNoise(0.3, law="ternary", seed=SEED)
    ids = written(model, noise)
    chosen = selected_tensors(model.torch_module, noise)
    moved = displaced_copy(chosen, next(kicks_along(chosen, noise, 2**32 - 1)), 1)
    noisy = model.logits(np.concatenate([model.encode(PROMPT), ids]), moved)
    noisy = np.where(model.valid, noisy, -np.inf)
    assert noisy[-len(ids) - 1 : -1].argmax(axis=1).tolist() == ids


def test_correlation_along_the_text(model: LanguageModel, text: str) -> None:
    """Logits under wandering noise on the head: covariance σ²s²·(h_t·h_s)·ρ^|t−s|, exactly.

    Read token by token, beyond the context, where tokens are read again and the clock is not
    turned. 300 draws of V independent outputs; 21 whitened second moments within 5 standard errors:
    1e-5. Negative controls: another τ, frozen noise, and a clock that counts what is read again.
    """
    tau, count, draws, size = 3.0, 6, 300, 0.1
    short = with_context(model, 4)
    ids = torch.from_numpy(model.encode(text)[:count])
    noise = WeightNoise(size, where="head", correlation="ou", tau=tau, seed=SEED)
    noisy, hidden, passes = FunctionSpaceReader(short, noise, draws), [], []
    head = model.torch_module.get_output_embeddings()
    keep = head.register_forward_hook(lambda _, x, y: hidden.append(x[0][0, -1]))
    logits = []
    try:
        for i in range(count):
            logits.append(noisy.read(ids[i : i + 1].expand(draws, 1)))
            passes.append(noisy._reading._state.times.tolist())
    finally:
        keep.remove()
    assert passes == [[0], [1], [2], [3], [4, 4], [5]]
    h = torch.stack(hidden).double().numpy()
    weight = head.weight.double().numpy()
    kicks = torch.stack(logits, dim=-1).double().numpy() - weight @ h.T
    samples = kicks.reshape(-1, count)
    apart = np.abs(np.arange(count)[:, None] - np.arange(count))
    unit = size**2 * (weight**2).mean() * (h @ h.T)

    def deviation(kernel: np.ndarray) -> float:
        whiten = np.linalg.inv(np.linalg.cholesky(unit * kernel))
        white = samples @ whiten.T
        moments = white.T @ white / len(white) - np.eye(count)
        error = np.sqrt((1 + np.eye(count)) / len(white))
        return float(np.abs(moments / error).max())

    assert deviation(np.exp(-apart / tau)) < 5
    clock = np.array([0, 1, 2, 3, 5, 6])
    for wrong in (apart / (1.2 * tau), 0.01 * apart, np.abs(clock[:, None] - clock) / tau):
        assert deviation(np.exp(-wrong)) > 10


def test_greedy_decoding_of_head_noise_is_a_probit(model: LanguageModel) -> None:
    """The first token of 8000 texts: χ² against the exact law at 1e-4, over tokens with ≥ 5.

    Negative control: the softmax that resembles it best, by likelihood.
    """
    draws, ids = 8000, torch.from_numpy(model.encode(PROMPT))
    head, read = model.torch_module.get_output_embeddings(), []
    handle = head.register_forward_hook(lambda _, x, y: read.append(x[0][0, -1]))
    z = model.logits(ids.numpy())[-1].astype(float)[model.valid]
    handle.remove()
    length, weight = float(read[0].double().norm()), head.weight.double().numpy()
    size = 2.0 / (length * np.sqrt((weight**2).mean()))  # 2 nats
    noise = WeightNoise(size, where="head", correlation="annealed", seed=SEED)
    logits = FunctionSpaceReader(model, noise, draws).read(ids.expand(draws, -1))
    winners = logits.numpy()[:, model.valid].argmax(axis=1)
    counts = np.bincount(winners, minlength=z.size)

    def p_value(p: np.ndarray, fitted: int) -> float:
        expected, seen = draws * p, counts.astype(float)
        common = expected >= 5
        expected = np.append(expected[common], expected[~common].sum())
        seen = np.append(seen[common], seen[~common].sum())
        return float(chi2.sf(((seen - expected) ** 2 / expected).sum(), seen.size - 1 - fitted))

    assert p_value(probit_probabilities(z, 2.0), 0) > 1e-4
    slopes = np.linspace(0.5, 2.0, 151) * SLOPE_RATIO / 2.0
    likelihood = [counts @ np.log(softmax(slope * z)) for slope in slopes]
    assert p_value(softmax(slopes[np.argmax(likelihood)] * z), 1) < 1e-8


# --- the context's end --------------------------------------------------------------------------


@pytest.mark.parametrize("machine", ["function_space", "copies"])
def test_what_is_read_again_is_read_by_the_weights_of_the_present(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch, machine: str
) -> None:
    """One step of the weights for each token of the text, however often a token is read."""
    from llm_bridge.decoding import noisy_reader as module

    steps: list[int] = []
    monkeypatch.setattr(
        module, "displaced_copy", lambda *a: (steps.append(1), displaced_copy(*a))[1]
    )
    noise = WeightNoise(0.05, correlation="ou", tau=3.0, seed=SEED)
    reader = noisy_reader(with_context(model, 8), noise, machine)
    ids = torch.from_numpy(model.encode(PROMPT)[:3])[None]
    reader.read(ids)
    for _ in range(15):  # twice past the context
        reader.read(ids[:, :1])
    if isinstance(reader, FunctionSpaceReader):
        assert reader._reading.positions > reader._reading.time == 18
    else:
        assert len(steps) == 18


def test_frozen_copies_read_the_newer_half_as_if_it_were_the_text(
    model: LanguageModel, text: str
) -> None:
    noise, ids = WeightNoise(0.2, seed=SEED), torch.from_numpy(model.encode(text)[:7])[None]
    reader = CopiesReader(with_context(model, 6), noise)
    last = [reader.read(ids[:, i : i + 1]) for i in range(7)][-1]  # reads 4 … 6 again
    fresh = CopiesReader(model, noise).read(ids[:, 4:])
    assert torch.allclose(last, fresh, atol=1e-4)
    assert not torch.allclose(last, CopiesReader(model, noise).read(ids), atol=1e-2)


def test_frozen_noise_in_function_space_does_so_in_law(model: LanguageModel, text: str) -> None:
    """Means of V logits, 400 draws on either side, within 6 standard errors: 1e-6."""
    noise, ids = WeightNoise(0.2, seed=SEED), torch.from_numpy(model.encode(text)[:7])
    batch = ids.expand(400, -1)
    reader = FunctionSpaceReader(with_context(model, 6), noise, 400)
    last = [reader.read(batch[:, i : i + 1]) for i in range(7)][-1]

    def largest_z(read: slice) -> float:
        fresh = FunctionSpaceReader(model, replace(noise, seed=1), 400).read(batch[:, read])
        error = ((last.var(0) + fresh.var(0)) / 400).sqrt()
        return float(((last.mean(0) - fresh.mean(0)) / error).abs().max())

    assert largest_z(slice(4, 7)) < 6
    assert largest_z(slice(0, 7)) > 12  # negative control: nothing was forgotten


# --- seeds, machines, tidiness --------------------------------------------------------------------


def test_seeds_and_lengths(model: LanguageModel) -> None:
    noise = WeightNoise(0.3, correlation="ou", tau=3.0, seed=SEED)
    text = written(model, noise)
    assert written(model, noise) == text
    assert written(model, noise, max_tokens=20)[:12] == text
    assert written(model, noise, seed=2) == text  # greedy: the decoder draws nothing
    assert written(model, replace(noise, seed=SEED + 1)) != text
    assert written(model, replace(noise, sigma=0.0)) == written(model, None)


def test_the_noise_shares_no_random_numbers_with_the_decoder(model: LanguageModel) -> None:
    """Both with one seed: the streams of all tensors and those that tokens are drawn with."""
    from llm_bridge.decoding import Decoder

    seed = 5
    run = Decoder(1.0).begin(np.random.SeedSequence(seed).spawn(1)[0])
    decoder = {float(run.uniform()) for _ in range(4)}
    noise = WeightNoise(0.1, seed=seed)
    for tensor in selected_tensors(model.torch_module, noise):
        assert not decoder & set(stream_of(tensor, noise, 2**32 - 1).random(8))
    # Negative control: draw 0 would.
    first, second = (
        stream_of(tensor, noise, 0).random(8)
        for tensor in selected_tensors(model.torch_module, noise)[:2]
    )
    assert decoder & (set(first) | set(second))


def test_machines(model: LanguageModel, tied_model: LanguageModel) -> None:
    everywhere, wandering = WeightNoise(0.1), PATHS["ou"]
    assert isinstance(noisy_reader(model, everywhere), FunctionSpaceReader)
    assert isinstance(noisy_reader(model, everywhere, "copies"), CopiesReader)
    assert isinstance(noisy_reader(tied_model, everywhere), CopiesReader)
    assert isinstance(noisy_reader(tied_model, WeightNoise(0.1, where="mlp")), FunctionSpaceReader)
    multiplicative = WeightNoise(0.1, law="multiplicative", **wandering)
    assert isinstance(noisy_reader(model, multiplicative), CopiesReader)
    assert len(written(model, multiplicative)) == 12
    assert len(written(tied_model, WeightNoise(0.1, **wandering))) == 12
    with pytest.raises(UnsupportedNoiseError, match="tied"):
        noisy_reader(tied_model, everywhere, "function_space")
    with pytest.raises(InvalidInputError, match="machine = 'regenerate'"):
        noisy_reader(model, everywhere, "regenerate")


def test_copies_that_do_not_fit(
    model: LanguageModel, tied_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The advice holds when it is followed, and is given only where it would."""
    monkeypatch.setattr("thermo.memory.available_bytes", lambda: 50_000)
    with pytest.raises(InvalidInputError, match=r"would fit: machine='function_space'"):
        noisy_reader(model, WeightNoise(0.1), "copies")
    noisy_reader(model, WeightNoise(0.1), "function_space")
    with pytest.raises(InvalidInputError) as caught:
        noisy_reader(tied_model, WeightNoise(0.1), "copies")
    assert "function_space" not in str(caught.value)


class Forgetful(torch.nn.Module):
    """A model that reads everything again each time."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module, self.config = module, module.config

    def forward(self, input_ids: Any, use_cache: bool = False) -> Any:
        return self.module(input_ids=input_ids, use_cache=False)

    def get_output_embeddings(self) -> Any:
        return self.module.get_output_embeddings()


def test_a_model_without_a_cache(model: LanguageModel) -> None:
    forgetful = LanguageModel(Forgetful(model.torch_module), model.tokenizer)
    with pytest.raises(UnsupportedNoiseError, match=r"key/value cache.*'quenched'"):
        noisy_reader(forgetful, WeightNoise(0.1, **PATHS["ou"]))
    with pytest.raises(UnsupportedNoiseError, match=r"key/value cache.*machine='copies'"):
        noisy_reader(forgetful, WeightNoise(0.1), "function_space")


@pytest.mark.parametrize("machine", ["function_space", "copies"])
def test_between_tokens_the_model_is_clean(model: LanguageModel, machine: str) -> None:
    """Also while a text is half written, and after it was left there."""

    def bits() -> str:
        digest = hashlib.sha256()
        for tensor in model.torch_module.state_dict().values():
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()

    def hooks() -> int:
        modules = model.torch_module.modules()
        return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in modules)

    before, ids, set_before = bits(), model.encode(PROMPT), hooks()
    clean = model.logits(ids)
    noise = WeightNoise(0.3, seed=SEED, **PATHS["ou"])
    tokens = generate(
        model, PROMPT, math.inf, max_tokens=12, seed=1, stop_at_end=False, noise=noise,
        machine=machine,
    )  # fmt: skip
    text = []
    for token in tokens:
        text.append(token.id)
        assert np.array_equal(model.logits(ids), clean)
        assert hooks() == set_before
    assert text == written(model, noise, machine=machine)  # reading in between changed nothing
    half = generate(model, PROMPT, math.inf, max_tokens=12, seed=1, noise=noise, machine=machine)
    next(half)
    del half
    gc.collect()
    assert bits() == before
    assert hooks() == set_before
    assert np.array_equal(model.logits(ids), clean)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": WeightNoise(0.1, where="nowhere")}, "matches none"),
        ({"noise": WeightNoise(0.1), "machine": "magic"}, "machine = 'magic'"),
    ],
)
def test_bad_noise_is_refused_before_any_work(
    model: LanguageModel, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        generate(model, PROMPT, 1.0, max_tokens=2, seed=1, **options)  # no token asked for
