"""Readings in function space: the same noise however it is read, and nothing left behind."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import transformers  # noqa: E402
from function_space_readings import (  # noqa: E402
    CORRELATIONS,
    LIMIT,
    SEED,
    RMSNorm,
    dense,
    draws_of,
    hooks_of,
    inputs_of,
    kernel,
    largest_deviation,
    noise_of,
)  # fmt: skip
from torch import nn  # noqa: E402

from llm_bridge.brownian.function_space import FunctionSpaceNoise  # noqa: E402
from llm_bridge.brownian.noise import WeightNoise  # noqa: E402
from llm_bridge.brownian.position_factor import PositionFactor  # noqa: E402
from llm_bridge.errors import UnsupportedNoiseError  # noqa: E402
from llm_bridge.models import LanguageModel, load_model  # noqa: E402
from thermo.errors import InvalidInputError  # noqa: E402


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


# --- the same noise, however it is read -----------------------------------------------------------


@pytest.mark.parametrize("correlation", CORRELATIONS)
def test_pieces_and_more_draws_give_the_same_noise(
    model: LanguageModel, ids: np.ndarray, correlation: str
) -> None:
    noise = noise_of(correlation, 0.05, scale="relative")
    whole, pieces = (draws_of(model, ids, noise, 4, how) for how in ("at once", "pieces"))
    np.testing.assert_allclose(pieces, whole, atol=2e-3 * whole.std())
    assert np.abs(whole - model.logits(ids)).std() > 0.05 * whole.std()
    two = draws_of(model, ids, noise, 2, "at once")
    np.testing.assert_allclose(two, whole[:2], atol=2e-3 * whole.std())
    batch = torch.from_numpy(ids).expand(2, -1)
    with FunctionSpaceNoise(model, noise, draws=2, first_draw=2):
        later = model.torch_module(input_ids=batch).logits.numpy()
    np.testing.assert_allclose(later, whole[2:], atol=2e-3 * whole.std())
    other = draws_of(
        model, ids, noise_of(correlation, 0.05, scale="relative", seed=1), 2, "at once"
    )
    assert np.abs(other - two).std() > 0.05 * whole.std()


def test_mirror_images(model: LanguageModel, ids: np.ndarray) -> None:
    """In the head exactly; through the whole model up to the second order in σ."""
    clean = model.logits(ids)

    def mean_and_size(where: str, sigma: float) -> tuple[float, float]:
        noise = noise_of("quenched", sigma, scale="relative", where=where)
        batch = torch.from_numpy(ids).expand(4, -1)
        with FunctionSpaceNoise(model, noise, draws=4, first_draw=2, mirrored=True):
            kicks = model.torch_module(input_ids=batch).logits.numpy() - clean
        pairs = kicks.reshape(2, 2, *clean.shape)
        return float(np.abs(pairs.mean(axis=1)).max()), float(np.abs(kicks).max())

    mean, size = mean_and_size("head", 0.1)
    assert mean < 1e-5 * size
    (large, _), (small, size) = (mean_and_size("all", sigma) for sigma in (0.004, 0.002))
    assert large / small == pytest.approx(4.0, rel=0.3)
    assert small < 0.05 * size


def test_texts_are_written_with_wandering_weights(model: LanguageModel, ids: np.ndarray) -> None:
    """transformers' generate reads the prompt, of which the head sees the end only, and on."""
    module = model.torch_module
    noise = noise_of("ou", 0.1, scale="relative")
    prompt = torch.from_numpy(ids[:6])[None]
    with FunctionSpaceNoise(model, noise) as reading:
        written = module.generate(
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=5, do_sample=False,
            pad_token_id=0,
        )  # fmt: skip
    assert reading.positions == 10
    with FunctionSpaceNoise(model, noise):  # all positions but for the head, teacher-forced
        logits = module(input_ids=written[:, :-1], logits_to_keep=5).logits
    assert torch.equal(logits[0].argmax(-1), written[0, 6:])


@pytest.mark.parametrize("correlation", CORRELATIONS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_types(model_folder, ids: np.ndarray, correlation: str, dtype: torch.dtype) -> None:
    """The same noise to the rounding of the type."""
    noise = noise_of(correlation, 0.05, scale="relative")
    model = load_model(model_folder)
    single = draws_of(model, ids[:8], noise, 2, "pieces")
    model.torch_module.to(dtype)
    batch = torch.from_numpy(ids[:8]).expand(2, -1)
    clean = model.torch_module(input_ids=batch).logits
    for one_pass in (False, True):
        with FunctionSpaceNoise(model, noise, draws=2, one_pass=one_pass):
            noisy = model.torch_module(input_ids=batch).logits
        assert noisy.dtype == dtype
        kicks = (noisy - clean).double().numpy()
        expected = single - model.logits(ids[:8])
        rough = 0.2 if dtype == torch.bfloat16 else 5e-3
        if dtype == torch.float64:
            assert np.abs(kicks - (single - clean.numpy())).std() < rough * kicks.std()
        else:
            assert np.abs(kicks - expected).std() < rough * kicks.std()


@pytest.mark.parametrize(("tau", "same"), [(1e-4, "annealed"), (1e18, "quenched")])
def test_paths_without_and_with_endless_memory(
    model: LanguageModel, ids: np.ndarray, tau: float, same: str
) -> None:
    """ρ that rounds to 0 or to 1."""
    noise = WeightNoise(0.1, correlation="ou", tau=tau, seed=SEED)
    known = WeightNoise(0.1, correlation=same, seed=SEED)
    one, other = (draws_of(model, ids, each, 2, "pieces") for each in (noise, known))
    assert np.array_equal(one, other)


# --- tidiness -------------------------------------------------------------------------------------


def bits_of(module: nn.Module) -> str:
    digest = hashlib.sha256()
    for tensor in itertools.chain(module.parameters(), module.buffers()):
        digest.update(tensor.detach().numpy().tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("what", ["nothing", "ValueError", "KeyboardInterrupt", "in the pass"])
def test_nothing_is_left_behind(
    model: LanguageModel, ids: np.ndarray, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = model.torch_module
    batch, bits, hooks = torch.from_numpy(ids)[None], bits_of(module), hooks_of(module)
    clean = module(input_ids=batch).logits
    errors = {"ValueError": ValueError, "KeyboardInterrupt": KeyboardInterrupt}
    reading = FunctionSpaceNoise(model, noise_of("ou"))
    assert hooks_of(module) == hooks
    if what == "in the pass":
        plain = PositionFactor.append
        calls = itertools.count()

        def interrupted(*arguments: object) -> torch.Tensor:
            if next(calls) == 3:
                raise KeyboardInterrupt
            return plain(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(PositionFactor, "append", interrupted)
        with reading:
            with pytest.raises(KeyboardInterrupt):
                module(input_ids=batch)
            with pytest.raises(InvalidInputError, match=r"interrupted.*new reading"):
                module(input_ids=batch)
        monkeypatch.undo()
    elif what == "nothing":
        with reading:
            module(input_ids=batch)
            assert hooks_of(module) > hooks
    else:

        def fail() -> None:
            with reading:
                module(input_ids=batch)
                raise errors[what]

        with pytest.raises(errors[what]):
            fail()
    assert hooks_of(module) == hooks
    assert bits_of(module) == bits
    assert torch.equal(module(input_ids=batch).logits, clean)


def test_a_reading_is_left_and_entered_again(model: LanguageModel, ids: np.ndarray) -> None:
    """Between the blocks the model is clean, and none of its passes is counted."""
    noise, module = noise_of("ou", 0.05, scale="relative"), model.torch_module
    batch, clean = torch.from_numpy(ids)[None], model.logits(ids)
    whole = draws_of(model, ids, noise, 1, "pieces")[0]
    reading, cache, rows = FunctionSpaceNoise(model, noise), transformers.DynamicCache(), []
    for piece in batch.split((2, *(1,) * (len(ids) - 2)), dim=1):
        with reading:
            answer = module(input_ids=piece, past_key_values=cache, use_cache=True)
        rows.append(answer.logits[0].numpy())
        assert np.array_equal(model.logits(ids), clean)
    assert np.array_equal(np.concatenate(rows), whole)
    with pytest.raises(InvalidInputError, match="inside itself"), reading, reading:
        pass
    assert hooks_of(module) == 0


@pytest.mark.parametrize("kind", ["linear", "embedding", "norm"])
def test_what_is_held_is_read_by_the_weights_of_one_moment(kind: str) -> None:
    """Times 0 1 2, 3 3 3 and 4, 5: K∘C between all of them."""
    times = np.array([0, 1, 2, 3, 3, 3, 4, 5])
    if kind == "embedding":
        module, x = nn.Embedding(5, 10), torch.tensor([3, 1, 3, 3, 1, 2, 2, 3])
        gram = (x[:, None] == x).double().numpy()
    elif kind == "linear":
        module, x = dense("linear"), inputs_of()
        gram = (x.double() @ x.double().T).numpy()
    else:
        module, x = RMSNorm(), inputs_of()
    with FunctionSpaceNoise(module, noise_of("ou", where="weight"), draws=400) as reading:
        noisy = []
        for piece in x.expand(400, *x.shape).split((3, 3, 1, 1), dim=1):
            if reading.time == 3:
                reading.hold()
            noisy.append(module(piece.contiguous()))
        assert (reading.positions, reading.time) == (8, 6)
    kicks = (torch.cat(noisy, dim=1) - module(x)).double().numpy()
    if kind == "norm":
        kicks, gram = kicks / (module(x) / module.weight).double().numpy(), np.ones((8, 8))
        assert np.abs(kicks[:, 3] - kicks[:, 4]).max() < 1e-5
    samples = kicks.transpose(0, 2, 1).reshape(-1, 8)
    apart = np.abs(times[:, None] - times)
    assert largest_deviation(samples, 0.01 * gram * np.exp(-apart / 2.5)) < LIMIT
    # Negative control: a clock that goes on while text is read again.
    distinct = [0, 3, 6, 7] if kind == "norm" else [0, 1, 3, 4, 6, 7]
    wrong = (gram * kernel("ou", 8))[np.ix_(distinct, distinct)]
    assert largest_deviation(samples[:, distinct], 0.01 * wrong) > 2 * LIMIT


def test_an_interrupt_while_hooks_are_set(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks, calls = hooks_of(model.torch_module), itertools.count()
    plain = nn.Linear.register_forward_hook

    def interrupted(*arguments: object, **named: object) -> object:
        if next(calls) == 4:
            raise KeyboardInterrupt
        return plain(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(nn.Linear, "register_forward_hook", interrupted)
    with pytest.raises(KeyboardInterrupt), FunctionSpaceNoise(model, noise_of("quenched")):
        pass
    assert hooks_of(model.torch_module) == hooks


def test_no_noise_is_the_clean_model(model: LanguageModel, ids: np.ndarray) -> None:
    batch = torch.from_numpy(ids)[None]
    with FunctionSpaceNoise(model, WeightNoise(0.0)):
        noisy = model.torch_module(input_ids=batch).logits
    assert torch.equal(noisy, model.torch_module(input_ids=batch).logits)


def test_tied_tensors_are_refused_by_name(tied_model: LanguageModel) -> None:
    for where in ("head", "embedding"):
        with pytest.raises(
            UnsupportedNoiseError,
            match=r"model\.embed_tokens\.weight and lm_head\.weight are one tensor.*copies",
        ):
            FunctionSpaceNoise(tied_model, noise_of("quenched", where=where))
    FunctionSpaceNoise(tied_model, noise_of("quenched", where="mlp"))


@pytest.mark.parametrize(
    "noise",
    [
        WeightNoise(0.1, law="multiplicative"),
        WeightNoise(0.1, law="ternary"),
        WeightNoise(0.1, law="factorised", correlation="annealed"),
        WeightNoise(0.1, law="low_rank", rank=2, correlation="annealed"),
    ],
)
def test_laws_without_such_a_form(model: LanguageModel, noise: WeightNoise) -> None:
    with pytest.raises(UnsupportedNoiseError, match="machine='copies'") as caught:
        FunctionSpaceNoise(model, noise)
    assert noise.law in str(caught.value)


def test_bad_readings(model: LanguageModel, ids: np.ndarray) -> None:
    noise = noise_of("quenched")
    for options in ({"draws": 0}, {"draws": 1.5}, {"first_draw": -1}):
        with pytest.raises(InvalidInputError, match=next(iter(options))):
            FunctionSpaceNoise(model, noise, **options)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="matches none"):
        FunctionSpaceNoise(model, noise_of("quenched", where="convolution"))
    batch = torch.from_numpy(ids)[None]
    with (
        FunctionSpaceNoise(model, noise, draws=2),
        pytest.raises(InvalidInputError, match=r"batch of 1 rows.*2 draws"),
    ):
        model.torch_module(input_ids=batch)
    with FunctionSpaceNoise(model, noise, one_pass=True):
        model.torch_module(input_ids=batch)
        with pytest.raises(InvalidInputError, match=r"second pass.*one_pass=False"):
            model.torch_module(input_ids=batch)
    with FunctionSpaceNoise(dense("linear"), noise), torch.enable_grad():
        pass


def test_gradients_are_refused() -> None:
    layer = dense("linear")
    with (
        FunctionSpaceNoise(layer, noise_of("quenched")),
        torch.enable_grad(),
        pytest.raises(UnsupportedNoiseError, match=r"no gradient.*no_grad"),
    ):
        layer(inputs_of()[None])
