"""Noise in function space: its law, exactly and against perturbed copies; and that it is tidy."""

from __future__ import annotations

import copy
import hashlib
import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import transformers  # noqa: E402
from torch import nn  # noqa: E402

from llm_bridge.brownian.copies import logits_of_copies  # noqa: E402
from llm_bridge.brownian.function_space import FunctionSpaceNoise  # noqa: E402
from llm_bridge.brownian.noise import WeightNoise  # noqa: E402
from llm_bridge.brownian.position_factor import PositionFactor  # noqa: E402
from llm_bridge.brownian.quantised_linear import QuantisedLinear  # noqa: E402
from llm_bridge.brownian.selection import selected_tensors  # noqa: E402
from llm_bridge.errors import UnsupportedNoiseError  # noqa: E402
from llm_bridge.models import LanguageModel  # noqa: E402
from thermo.errors import InvalidInputError  # noqa: E402

SEED = 20261120
DENSE = ("linear", "conv1d", "quantised")
CORRELATIONS = ("quenched", "annealed", "ou")
LIMIT = 5.0  # of the largest |z|: false alarms at 6e-7 per moment


@pytest.fixture(scope="module")
def ids(model: LanguageModel, text: str) -> np.ndarray:
    return model.encode(text)[:20]


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def noise_of(correlation: str, sigma: float = 0.1, **options: object) -> WeightNoise:
    tau = 2.5 if correlation == "ou" else None
    options = {"scale": "absolute", "seed": SEED, **options}
    return WeightNoise(sigma, correlation=correlation, tau=tau, **options)  # type: ignore[arg-type]


def numbers(*shape: int, seed: int = SEED) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def kernel(correlation: str, count: int) -> np.ndarray:
    """C: correlation of the weights between positions."""
    apart = np.abs(np.arange(count)[:, None] - np.arange(count))
    return {"quenched": 1.0 + 0 * apart, "annealed": 1.0 * (apart == 0)}.get(
        correlation, np.exp(-apart / 2.5)
    )


def largest_deviation(samples: np.ndarray, covariance: np.ndarray) -> float:
    """Largest |z| among all first and second moments of samples (n, m) against N(0, covariance).

    They are whitened, so all moments are independent: means of variance 1/n, second moments of
    variance 1/n off the diagonal and 2/n on it. Directions without variance are left out, after
    seeing that there is nothing in them.
    """
    values, vectors = np.linalg.eigh(covariance)
    flat = values < 1e-7 * values.max()
    assert np.abs(samples @ vectors[:, flat]).max(initial=0.0) < 1e-2 * np.sqrt(values.max())
    white = samples @ vectors[:, ~flat] / np.sqrt(values[~flat])
    n, m = white.shape
    moments = white.T @ white / n - np.eye(m)
    variance = (1.0 + np.eye(m)) / n
    means = white.mean(axis=0) * np.sqrt(n)
    return float(max(np.abs(means).max(), np.abs(moments / np.sqrt(variance)).max()))


def read(module: nn.Module, noise: WeightNoise, x: torch.Tensor, draws: int, **options: object):
    """Noise that a module's outputs (draws, n, d) get, all draws reading the same x (n, …)."""
    pieces = options.pop("pieces", (len(x),))
    batch = x.expand(draws, *x.shape).contiguous()
    with FunctionSpaceNoise(module, noise, draws=draws, **options) as reading:
        noisy = [
            module(piece) for piece in map(torch.Tensor.contiguous, batch.split(pieces, dim=1))
        ]
    assert reading.positions == len(x)
    return (torch.cat(noisy, dim=1) - module(batch)).double().numpy()


# --- one layer, exactly ---------------------------------------------------------------------------


class Scaled(nn.Embedding):
    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return 3.0 * super().forward(ids)


def dense(kind: str) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        if kind == "linear":
            return nn.Linear(12, 40)
        if kind == "quantised":
            return QuantisedLinear.of(nn.Linear(12, 40), bits=4, group=6)
        layer = transformers.pytorch_utils.Conv1D(40, 12)
        layer.bias.normal_()
        return layer


def inputs_of(count: int = 8) -> torch.Tensor:
    x = numbers(count, 12) + 1.0
    if count > 5:
        x[5] = x[1]  # a repeated input
    return x


@pytest.mark.parametrize("pieces", [(8,), (3, 1, 1, 2, 1)], ids=["whole", "pieces"])
@pytest.mark.parametrize("correlation", CORRELATIONS)
@pytest.mark.parametrize("kind", DENSE)
def test_law_of_a_dense_layer(kind: str, correlation: str, pieces: tuple[int, ...]) -> None:
    """200 draws · 40 outputs of K∘C between 8 positions; |z| of 44 moments below 5."""
    x, layer = inputs_of(), dense(kind)
    noise = noise_of(correlation, where="weight")
    kicks = read(layer, noise, x, 200, pieces=pieces)
    samples = kicks.transpose(0, 2, 1).reshape(-1, 8)
    gram = 0.01 * x.double().numpy() @ x.double().numpy().T
    assert largest_deviation(samples, gram * kernel(correlation, 8)) < LIMIT
    # Outputs are independent of each other, and draws: correlations of those side by side.
    side_by_side = (samples[1:] * samples[:-1]).sum(axis=0) / (samples**2).sum(axis=0)
    assert np.abs(side_by_side).max() * np.sqrt(len(samples)) < LIMIT
    # Negative controls: the other kernels, and at positions of which none repeats.
    some = [0, 2, 3, 4, 5, 6, 7]
    for other in set(CORRELATIONS) - {correlation}:
        wrong = (gram * kernel(other, 8))[np.ix_(some, some)]
        assert largest_deviation(samples[:, some], wrong) > 4 * LIMIT


def test_forgetting_the_earlier_positions_is_found_out() -> None:
    """Negative control: frozen noise whose second piece does not know the first."""
    x, layer = inputs_of(), dense("linear")
    noise = noise_of("quenched", where="weight")
    first = read(layer, noise, x[:4], 200)
    second = read(layer, noise_of("quenched", where="weight", seed=1), x[4:], 200)
    samples = np.concatenate([first, second], axis=1).transpose(0, 2, 1).reshape(-1, 8)
    gram = 0.01 * x.double().numpy() @ x.double().numpy().T
    part = np.kron(np.eye(2), np.ones((4, 4)))
    assert largest_deviation(samples, gram * part) < LIMIT
    with pytest.raises(AssertionError):  # the repeated input has two noises
        largest_deviation(samples, gram)
    keep = [0, 1, 2, 3, 4, 6, 7]
    assert largest_deviation(samples[:, keep], gram[np.ix_(keep, keep)]) > 4 * LIMIT


class Siblings(nn.Module):
    """Layers that read the same tensor, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = (nn.Linear(12, 20, bias=False) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.one(x), self.other(x)], dim=-1)


def test_layers_that_share_a_factor_have_noise_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, module = inputs_of(6), Siblings()
    calls = []
    plain = PositionFactor.append
    monkeypatch.setattr(PositionFactor, "append", lambda *a: (calls.append(1), plain(*a))[1])

    def both(kicks: np.ndarray) -> float:
        """Outputs of both layers at all positions: block-diagonal covariance."""
        samples = kicks.reshape(-1, 6, 2, 20).transpose(0, 3, 2, 1).reshape(-1, 12)
        gram = 0.01 * x.double().numpy() @ x.double().numpy().T
        return largest_deviation(samples, np.kron(np.eye(2), gram))

    assert both(read(module, noise_of("quenched"), x, 300, pieces=(4, 1, 1))) < LIMIT
    assert len(calls) == 3
    # Negative control: one stream of random numbers for both.
    from llm_bridge.brownian import layer_noise

    class OneStream(layer_noise.NormalRows):
        def __init__(self, seed: int, place: int, *rest: object) -> None:
            super().__init__(seed, 0, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(layer_noise, "NormalRows", OneStream)
    assert both(read(module, noise_of("quenched"), x, 300)) > 4 * LIMIT


class Twice(nn.Module):
    """One layer, used at two depths."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(12, 12, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.layer(x), self.layer(x.flip(-1))], dim=-1)


def test_a_layer_that_is_used_twice_has_the_same_noise_in_both_places() -> None:
    x, module = inputs_of(4), Twice()
    kicks = read(module, noise_of("quenched"), x, 600, pieces=(2, 2))
    samples = kicks.reshape(-1, 4, 2, 12).transpose(0, 3, 2, 1).reshape(-1, 8)
    used = torch.cat([x, x.flip(-1)]).double().numpy()
    assert largest_deviation(samples, 0.01 * used @ used.T) < LIMIT
    with (
        pytest.raises(UnsupportedNoiseError, match=r"second time.*one_pass=False"),
        FunctionSpaceNoise(module, noise_of("quenched"), one_pass=True),
    ):
        module(x[None])


@pytest.mark.parametrize("correlation", CORRELATIONS)
@pytest.mark.parametrize("layer", [nn.Embedding, Scaled])
def test_law_of_an_embedding(layer: type[nn.Embedding], correlation: str) -> None:
    ids = torch.tensor([3, 1, 3, 2, 1, 3])
    module = layer(5, 10)
    kicks = read(module, noise_of(correlation), ids, 400, pieces=(3, 1, 2))
    samples = kicks.transpose(0, 2, 1).reshape(-1, 6) / (3.0 if layer is Scaled else 1.0)
    same = (ids[:, None] == ids).numpy() * 0.01
    assert largest_deviation(samples, same * kernel(correlation, 6)) < LIMIT
    if correlation == "quenched":
        assert np.array_equal(samples[:, 0], samples[:, 2])


@pytest.mark.parametrize("correlation", CORRELATIONS)
def test_law_of_a_bias(correlation: str) -> None:
    module = dense("linear")
    kicks = read(module, noise_of(correlation, where="bias"), inputs_of(), 200, pieces=(4, 1, 3))
    samples = kicks.transpose(0, 2, 1).reshape(-1, 8)
    assert largest_deviation(samples, 0.01 * kernel(correlation, 8)) < LIMIT


class RMSNorm(nn.Module):
    """As transformers writes it, or with gain 1 + w."""

    def __init__(self, shift: float = 0.0, zero: bool = False) -> None:
        super().__init__()
        weight = numbers(12)
        weight[3] = 0.0 if zero else 1.0
        self.weight, self.shift = nn.Parameter(weight), shift

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normed = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)
        return (self.weight + self.shift) * normed


def layer_norm(large_bias: bool = False) -> nn.Module:
    module = nn.LayerNorm(12)
    module.weight.data = numbers(12, seed=1)
    module.bias.data = numbers(12, seed=2) * (300.0 if large_bias else 1.0)
    return module


@pytest.mark.parametrize("correlation", CORRELATIONS)
@pytest.mark.parametrize(
    "module",
    [RMSNorm(), RMSNorm(1.0), RMSNorm(zero=True), layer_norm(), layer_norm(True)],
    ids=["rms", "1 + w", "a gain of zero", "layer norm", "large bias"],
)
def test_noise_of_a_norm_is_that_of_other_weights(module: nn.Module, correlation: str) -> None:
    """What comes out is the module's own answer with kicked weights, and the kicks have the law."""
    x = inputs_of()
    kicks = read(module, noise_of(correlation, where="weight"), x, 200, pieces=(4, 1, 3))
    gain = torch.func.functional_call(module, {"weight": module.weight + 1.0}, (x,)) - module(x)
    delta = kicks / gain.double().numpy()
    samples = delta.transpose(0, 2, 1).reshape(-1, 8)
    if correlation == "quenched":
        rounding = 1e-6 * float(module(x).abs().max()) / float(gain.abs().min())
        assert np.abs(delta - delta[:, :1]).max() < rounding
        samples = samples[:, :1]
    covariance = 0.01 * kernel(correlation, samples.shape[1])
    assert largest_deviation(samples, covariance) < LIMIT


class PerHead(nn.Module):
    """A norm of every head, as Qwen 3 has it, with the axis of the heads inside or outside."""

    def __init__(self, outside: bool) -> None:
        super().__init__()
        self.norm, self.outside = RMSNorm(), outside

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads = x.unflatten(-1, (-1, 12))
        if self.outside:
            return self.norm(heads.transpose(1, 2)).transpose(1, 2).flatten(2)
        return self.norm(heads).flatten(2)


@pytest.mark.parametrize("correlation", CORRELATIONS)
@pytest.mark.parametrize("outside", [False, True])
def test_all_heads_of_a_position_see_the_same_weights(outside: bool, correlation: str) -> None:
    """As many heads as positions, and as positions in one of the pieces."""
    x, module = numbers(6, 6 * 12), PerHead(outside)
    for pieces in ((6,), (2, 1, 3)):
        kicks = read(module, noise_of(correlation), x, 200, pieces=pieces)
        gain = (module(x[None]) / module.norm.weight.tile(6)).double().numpy()
        delta = (kicks / gain).reshape(200, 6, 6, 12)  # draw, position, head, weight
        assert np.abs(delta - delta[:, :, :1]).max() < 1e-3
        samples = delta.mean(axis=2).transpose(0, 2, 1).reshape(-1, 6)
        assert largest_deviation(samples, 0.01 * kernel(correlation, 6)) < LIMIT


@pytest.mark.parametrize(("law", "rank"), [("factorised", 1), ("low_rank", 1), ("low_rank", 3)])
@pytest.mark.parametrize("kind", ["linear", "conv1d", "embedding"])
def test_outer_products(kind: str, law: str, rank: int) -> None:
    """Noise is linear in the input, of rank r, with entries of the right second moments."""
    if kind == "embedding":
        layer, width, x = nn.Embedding(12, 40), 12, torch.arange(12)
    else:
        layer, width, x = dense(kind), 12, torch.eye(12)
    noise = noise_of("quenched", where="weight", law=law, rank=rank)
    kicks = read(layer, noise, x, 1500, pieces=(5, 7))  # (draws, 12, 40): E itself
    assert kicks.shape == (1500, width, 40)
    ranks = np.linalg.matrix_rank(kicks[:20], tol=1e-5)
    assert (ranks == rank).all()
    # Entries have variance σ², and products of entries in one row or column no correlation.
    squares = (kicks**2).mean(axis=(1, 2)) / 0.01
    assert abs(squares.mean() - 1) < LIMIT * squares.std() / np.sqrt(len(squares))
    for one, other in (((2, 3), (2, 7)), ((2, 3), (4, 3)), ((2, 3), (4, 7))):
        product = kicks[:, *one] * kicks[:, *other] / 0.01
        assert abs(product.mean()) < LIMIT * product.std() / np.sqrt(len(product))
    # Of one sign in fours: E δ_ij δ_il δ_kj δ_kl is σ⁴/r times that of two vectors' squares.
    four = kicks[:, 2, 3] * kicks[:, 2, 7] * kicks[:, 4, 3] * kicks[:, 4, 7] / 1e-4
    expected = 1.0 if law == "factorised" else 1.0 / rank
    assert abs(four.mean() - expected) < LIMIT * four.std() / np.sqrt(len(four))


# --- whole models, against copies -----------------------------------------------------------------


def draws_of(
    model: LanguageModel, ids: np.ndarray, noise: WeightNoise, draws: int, how: str
) -> np.ndarray:
    """Logits (draws, N, V) by copies of the weights, or in function space at once or in pieces."""
    if how == "copies":
        chosen = selected_tensors(model.torch_module, noise)
        return np.stack(list(logits_of_copies(model, ids, chosen, noise, draws, False)))
    batch = torch.from_numpy(ids).expand(draws, -1)
    cache = transformers.DynamicCache()
    pieces = {"at once": (len(ids),), "pieces": (2, *(1,) * (len(ids) - 2))}[how]
    out = []
    with FunctionSpaceNoise(model, noise, draws=draws, one_pass=how == "at once"):
        for piece in batch.split(pieces, dim=1):
            answer = model.torch_module(input_ids=piece, past_key_values=cache, use_cache=True)
            out.append(answer.logits)
    return torch.cat(out, dim=1).numpy()


def two_sample_p(one: np.ndarray, other: np.ndarray, clean: np.ndarray) -> float:
    """p-value, by permutation, of logits (draws, N, V) having one law: means and second moments.

    Features of a draw's kicks: the mean over tokens of products between all pairs of positions, and
    of products with the clean logits; and eight fixed projections of all positions and tokens, with
    their squares. T² of the features, whitened together, against 12 000 permutations of which is
    which.
    """
    rng = np.random.default_rng(SEED)
    kicks = np.concatenate([one, other]).astype(np.float64) - clean
    n, positions, tokens = kicks.shape
    between = (kicks @ kicks.transpose(0, 2, 1))[:, *np.tril_indices(positions)]
    along = np.einsum("dtv,tv->dt", kicks, clean)
    y = kicks.reshape(n, -1) @ rng.normal(size=(positions * tokens, 8))
    features = np.concatenate([np.log(np.abs(between) + 1e-9), between, along, y, y * y], axis=1)
    features -= features.mean(axis=0)
    features /= features.std(axis=0)
    left, values, _ = np.linalg.svd(features, full_matrices=False)
    white = left[:, values > 1e-4 * values[0]]
    labels = np.repeat([1.0, -1.0], [len(one), len(other)])
    seen = ((labels @ white) ** 2).sum()
    shuffled = rng.permuted(np.tile(labels, (12_000, 1)), axis=1)
    return float((1 + (((shuffled @ white) ** 2).sum(axis=1) >= seen).sum()) / 12_001)


LAWS = [
    ("gaussian", "quenched", {}),
    ("gaussian", "annealed", {}),
    ("gaussian", "ou", {}),
    ("factorised", "quenched", {}),
    ("low_rank", "quenched", {"rank": 2}),
]
DRAWS = 250


@pytest.fixture(scope="module")
def gpt2(model: LanguageModel) -> LanguageModel:
    """Conv1D, biases, norms with biases, and positions that are embedded once for all draws."""
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        config = transformers.GPT2Config(
            vocab_size=model.vocabulary_size, n_embd=32, n_layer=2, n_head=4, n_positions=64,
            initializer_range=0.3, tie_word_embeddings=False, eos_token_id=0, bos_token_id=0,
        )  # fmt: skip
        module = transformers.GPT2LMHeadModel(config)
        for parameter in module.parameters():
            if parameter.ndim == 1:
                parameter.data += 0.3 * torch.randn_like(parameter)
    return LanguageModel(module, model.tokenizer, name="gpt2")


@pytest.mark.parametrize(("law", "correlation", "options"), LAWS)
def test_a_model_has_the_law_of_copies(
    model: LanguageModel, ids: np.ndarray, law: str, correlation: str, options: dict
) -> None:
    """All tensors of a Llama, strong noise; p above 1e-4, which is also the rate of false alarms.

    The function-space draws are read at once and in pieces; a text with tokens that repeat.
    """
    ids = np.concatenate([ids[:4], ids[1:3]])
    options = {"scale": "relative", "law": law, **options}
    noise = noise_of(correlation, 0.2, **options)
    clean = model.logits(ids)
    copies = draws_of(model, ids, noise, DRAWS, "copies")
    for how in ("at once", "pieces"):
        assert two_sample_p(copies, draws_of(model, ids, noise, DRAWS, how), clean) > 1e-4
    # Negative controls: another kernel, and a σ that is a quarter larger.
    kernel = "annealed" if correlation == "quenched" else "quenched"
    for wrong in (
        noise_of(kernel, 0.2, scale="relative"),
        noise_of(correlation, 0.25, **options),
    ):
        assert two_sample_p(copies, draws_of(model, ids, wrong, DRAWS, "at once"), clean) < 1e-4


@pytest.mark.parametrize(
    "correlation",
    ["quenched", *(pytest.param(c, marks=pytest.mark.slow) for c in CORRELATIONS[1:])],
)
def test_gpt2_has_the_law_of_copies(gpt2: LanguageModel, ids: np.ndarray, correlation: str) -> None:
    ids, clean = ids[:5], gpt2.logits(ids[:5])
    noise, wrong = (noise_of(correlation, sigma, scale="relative") for sigma in (0.2, 0.25))
    copies = draws_of(gpt2, ids, noise, DRAWS, "copies")
    assert two_sample_p(copies, draws_of(gpt2, ids, noise, DRAWS, "pieces"), clean) > 1e-4
    assert two_sample_p(copies, draws_of(gpt2, ids, wrong, DRAWS, "pieces"), clean) < 1e-4


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
    from llm_bridge.models import load_model

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


# --- tidiness -------------------------------------------------------------------------------------


def hooks_of(module: nn.Module) -> int:
    return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in module.modules())


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


class Odd(nn.Module):
    """A layer of no known form, with a matrix and a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix, self.vector = nn.Parameter(numbers(6, 6)), nn.Parameter(numbers(6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x @ self.matrix + self.vector)


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


class Pick(nn.Module):
    """A layer that sees some of the positions only, as experts do."""

    def __init__(self) -> None:
        super().__init__()
        self.expert = nn.Linear(12, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.expert(x.reshape(-1, 12)[::2])


class Split(nn.Module):
    """A dense layer that sees every position twice."""

    def __init__(self) -> None:
        super().__init__()
        self.part = nn.Linear(6, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.part(x.unflatten(-1, (2, 6)))


def test_layers_that_see_some_positions() -> None:
    """Frozen and fresh noise need not know which; wandering noise has to, and many draws too.

    Fresh noise has to where there are more inputs than positions.
    """
    x, module = inputs_of()[None], Pick()
    for correlation in ("quenched", "annealed"):
        with FunctionSpaceNoise(module, noise_of(correlation)):
            module(x)
    with (
        FunctionSpaceNoise(module, noise_of("ou")),
        pytest.raises(UnsupportedNoiseError, match=r"expert.* 4 inputs .* 8 positions"),
    ):
        module(x)
    split = Split()
    for correlation in ("quenched", "ou"):
        with FunctionSpaceNoise(split, noise_of(correlation)):
            split(x)
    with (
        FunctionSpaceNoise(split, noise_of("annealed")),
        pytest.raises(UnsupportedNoiseError, match=r"part.* 16 inputs .* 8 positions"),
    ):
        split(x)
    with (
        FunctionSpaceNoise(module, noise_of("annealed"), draws=3),
        pytest.raises(UnsupportedNoiseError, match=r"draws cannot be told apart.*copies"),
    ):
        module(x.expand(3, -1, -1))


# --- how a layer depends on its weights -----------------------------------------------------------


class OtherLinear(nn.Linear):
    """Not torch's own: found by trying, as a quantised one is."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x @ self.weight.mT).clone() + self.bias


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_forms_are_found(dtype: torch.dtype) -> None:
    from llm_bridge.brownian.layer_forms import dense_shape, gain_of, is_shift, token_scale

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


@pytest.mark.parametrize(("tau", "same"), [(1e-4, "annealed"), (1e18, "quenched")])
def test_paths_without_and_with_endless_memory(
    model: LanguageModel, ids: np.ndarray, tau: float, same: str
) -> None:
    """ρ that rounds to 0 or to 1."""
    noise = WeightNoise(0.1, correlation="ou", tau=tau, seed=SEED)
    known = WeightNoise(0.1, correlation=same, seed=SEED)
    one, other = (draws_of(model, ids, each, 2, "pieces") for each in (noise, known))
    assert np.array_equal(one, other)


def test_a_layer_may_be_called_by_keyword() -> None:
    layer, x = dense("linear"), inputs_of()[None]
    with FunctionSpaceNoise(layer, noise_of("quenched")):
        by_place = layer(x)
    with FunctionSpaceNoise(layer, noise_of("quenched")):
        assert torch.equal(layer(input=x), by_place)
