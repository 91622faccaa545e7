"""Filters against cases worked out by hand and a slow reference in plain Python."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_bridge.decoding import (
    XTC,
    Candidates,
    Decoder,
    Eta,
    Filter,
    MinP,
    Mirostat,
    TopK,
    TopNSigma,
    TopP,
    Typical,
)
from thermo.errors import InvalidInputError

INF = math.inf
BETAS = [-INF, -2.0, -0.5, -0.0, 0.0, 0.5, 1.0, INF]

# p = 0.4, 0.3, 0.2, 0.1
FOUR = [math.log(p) for p in (0.4, 0.3, 0.2, 0.1)]


def kept(item: Filter, row: list[float], beta: float = 1.0, **given: object) -> list[int]:
    """Ids that a filter leaves."""
    left = item.apply(Candidates.of(row), beta, **given)  # type: ignore[arg-type]
    return left.open.nonzero()[:, 0].tolist()


# --- by hand -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "at_plus", "at_minus"),
    [
        # at β = −1 the order is turned round: p ∝ 1/0.4, 1/0.3, 1/0.2, 1/0.1 = 0.12 0.16 0.24 0.48
        (TopK(1, acts_on="decoded"), [0], [3]),
        (TopK(3, acts_on="decoded"), [0, 1, 2], [1, 2, 3]),
        (TopK(9, acts_on="decoded"), [0, 1, 2, 3], [0, 1, 2, 3]),
        (TopP(0.39, acts_on="decoded"), [0], [3]),
        (TopP(0.5, acts_on="decoded"), [0, 1], [2, 3]),
        (TopP(0.75, acts_on="decoded"), [0, 1, 2], [1, 2, 3]),
        (TopP(1.0, acts_on="decoded"), [0, 1, 2, 3], [0, 1, 2, 3]),
        (MinP(0.45, acts_on="decoded"), [0, 1, 2], [2, 3]),
        (MinP(1.0, acts_on="decoded"), [0], [3]),
        # H(1) = 1.280: −ln p − H = −0.36 −0.08 0.33 1.02; H(−1) = 1.242: 0.878 0.591 0.185 −0.508
        (Typical(0.25, acts_on="decoded"), [1], [2, 3]),
        (Typical(0.45, acts_on="decoded"), [1, 2], [2, 3]),
        (Typical(0.75, acts_on="decoded"), [0, 1, 2], [1, 2, 3]),
        # ε = 0.25: √ε e^{−H} = 0.139 at +1, 0.144 at −1
        (Eta(0.25, acts_on="decoded"), [0, 1, 2], [1, 2, 3]),
        (Eta(0.05, acts_on="decoded"), [0, 1, 2, 3], [0, 1, 2, 3]),
    ],
    ids=repr,
)
def test_by_hand(item: Filter, at_plus: list[int], at_minus: list[int]) -> None:
    assert kept(item, FOUR, 1.0) == at_plus
    assert kept(item, FOUR, -1.0) == at_minus
    model = type(item)(**{**vars(item), "acts_on": "model"})
    for beta in BETAS:  # the model's own distribution knows no β
        assert kept(model, FOUR, beta) == at_plus


def test_top_n_sigma_by_hand() -> None:
    row = [0.0, 1.0, 2.0, 3.0]  # σ = √1.25 = 1.118
    assert kept(TopNSigma(1.0, acts_on="decoded"), row, 2.0) == [2, 3]
    assert kept(TopNSigma(1.0, acts_on="decoded"), row, 0.01) == [2, 3]  # only the sign counts
    assert kept(TopNSigma(1.0, acts_on="decoded"), row, -5.0) == [0, 1]
    assert kept(TopNSigma(1.0, acts_on="decoded"), row, -INF) == [0, 1]
    assert kept(TopNSigma(1.0, acts_on="decoded"), row, 0.0) == [0, 1, 2, 3]
    assert kept(TopNSigma(1.0, acts_on="model"), row, -5.0) == [2, 3]
    assert kept(TopNSigma(1.0, acts_on="model"), [*row, -INF], -5.0) == [2, 3]  # σ without masks


def test_ties_with_the_last_one_stay() -> None:
    row = [1.0, 2.0, 1.0, 0.0, 1.0]
    for item in (TopK(2, acts_on="model"), TopP(0.5, acts_on="model")):
        assert kept(item, row) == [0, 1, 2, 4]


@pytest.mark.parametrize("everything", [TopP(1.0, acts_on="model"), Typical(1.0, acts_on="model")])
def test_a_mass_of_one_keeps_the_tail_that_rounding_hides(everything: Filter) -> None:
    """At p ≈ (1, 2e-22, 2e-22) the sum is 1 after one token, and β < 0 draws the others."""
    left = everything.apply(Candidates.of([50.0, 0.0, 0.0]), -1.0)
    assert left.open.tolist() == [True, True, True]


def test_xtc_by_hand() -> None:
    item = XTC(0.25, 0.5, acts_on="model")  # viable: 0.4 and 0.3
    assert kept(item, FOUR, chance=0.49) == [1, 2, 3]
    assert kept(item, FOUR, chance=0.5) == [0, 1, 2, 3]
    assert kept(XTC(0.35, 1.0, acts_on="model"), FOUR) == [0, 1, 2, 3]  # one viable: nothing to do
    assert kept(XTC(0.05, 1.0, acts_on="model"), FOUR) == [3]
    assert kept(XTC(0.2, 1.0, acts_on="decoded"), FOUR, -1.0) == [0, 1, 2]  # viable: 0.48 and 0.24


def test_xtc_acts_as_often_as_it_should() -> None:
    """1000 tokens, probability 0.3: 300 ± 14.5; six standard errors, false alarm 2e-9."""
    run = Decoder(1.0, [XTC(0.25, 0.3, acts_on="model")]).begin(20261122)
    acted = 0
    for _ in range(1000):
        decoded = run.distribution(FOUR)
        assert decoded.log_probabilities.equal(run.distribution(FOUR).log_probabilities)
        acted += decoded.log_probability(0) == -INF
        run.observe(3)
    assert abs(acted - 300) < 6 * math.sqrt(1000 * 0.3 * 0.7)


def test_mirostat_by_hand() -> None:
    item = Mirostat(1.0, 0.5, acts_on="model")  # −log₂ p = 1.32 1.74 2.32 3.32
    assert item.begin() == 2.0
    assert kept(item, FOUR, state=2.0) == [0, 1]
    assert kept(item, FOUR, state=3.0) == [0, 1, 2]
    assert kept(item, FOUR, state=0.1) == [0]  # never nothing
    row = Candidates.of(FOUR)
    assert item.after(2.0, row, 1.0, 0) == pytest.approx(2.0 - 0.5 * (math.log2(2.5) - 1.0))
    assert item.after(2.0, row, 1.0, 3) == pytest.approx(2.0 - 0.5 * (math.log2(10) - 1.0))
    masked = Candidates.of([0.0, 0.0, -INF])
    assert item.after(2.0, masked, 1.0, 2) == 2.0  # an engine's own choice
    decoded = Mirostat(1.0, 0.5, acts_on="decoded")
    assert kept(decoded, FOUR, -1.0, state=1.5) == [3]
    assert decoded.after(2.0, row, -1.0, 3) == pytest.approx(2.0 - 0.5 * (math.log2(2.5 / 1.2) - 1))


def test_mirostat_reaches_its_surprise() -> None:
    """The mean surprise of n tokens is off by |μ_n − μ₀|/(nη), and μ need not go beyond the largest
    surprise there is, 10.3 and 14.3 bits. Possible means: 2.6 to 5.7 bits at β = 1, 6.7 to 7.4 at
    β = −1."""
    row = [math.log(1.0 / (i + 1)) for i in range(200)]
    for beta, tau in ((1.0, 4.0), (-1.0, 7.0)):
        run = Decoder(beta, [Mirostat(tau, 0.1, acts_on="decoded")]).begin(20261122)
        surprise = 0.0
        for _ in range(2000):
            decoded = run.distribution(row)
            token = run.draw(decoded)
            run.observe(token)
            surprise -= float(decoded.candidates.log_probabilities(beta)[token]) / math.log(2)
        assert abs(surprise / 2000 - tau) < 14.3 / (2000 * 0.1)


# --- against a slow reference --------------------------------------------------------------------


def boltzmann(row: list[float], beta: float) -> list[float]:
    end = (max if beta >= 0 else min)(row)
    if math.isinf(beta):
        weights = [float(z == end) for z in row]
    else:
        weights = [math.exp(beta * (z - end)) for z in row]
    return [w / math.fsum(weights) for w in weights]


def entropy(p: list[float]) -> float:
    return -math.fsum(q * math.log(q) for q in p if q > 0)


def slow_top_k(p: list[float], k: int) -> set[int]:
    last = sorted(p, reverse=True)[min(k, len(p)) - 1]
    return {i for i, q in enumerate(p) if q >= last}


def slow_top_p(p: list[float], mass: float) -> set[int]:
    total, out = 0.0, set()
    for i in sorted(range(len(p)), key=lambda i: -p[i]):
        if total >= mass:
            break
        out.add(i)
        total += p[i]
    return out


def slow_min_p(p: list[float], ratio: float) -> set[int]:
    return {i for i, q in enumerate(p) if q >= ratio * max(p)}


def slow_typical(p: list[float], mass: float) -> set[int]:
    h = entropy(p)
    total, out = 0.0, set()
    for i in sorted(range(len(p)), key=lambda i: abs(-math.log(p[i]) - h)):
        if total >= mass:
            break
        out.add(i)
        total += p[i]
    return out


def slow_eta(p: list[float], epsilon: float) -> set[int]:
    cut = min(epsilon, math.sqrt(epsilon) * math.exp(-entropy(p)))
    return {i for i, q in enumerate(p) if q >= cut} or {p.index(max(p))}


REFERENCES: list[tuple[Callable[..., Filter], Callable[..., set[int]], list[float]]] = [
    (TopK, slow_top_k, [1, 3, 7]),
    (TopP, slow_top_p, [0.2, 0.71, 0.93]),
    (MinP, slow_min_p, [0.03, 0.3, 0.9]),
    (Typical, slow_typical, [0.2, 0.71, 0.93]),
    (Eta, slow_eta, [0.001, 0.05, 0.4]),
]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(-4000, 4000), min_size=1, max_size=12, unique=True),
    st.sampled_from([-3.0, -1.0, -0.3, 0.2, 1.0, 2.5]),
)
def test_against_the_slow_reference(numbers: list[int], beta: float) -> None:
    row = [n / 1000 + 0.0003 * (n % 7) for n in numbers]  # no ties, no symmetric pairs
    for make, slow, values in REFERENCES:
        for value in values:
            for acts_on, own in (("model", 1.0), ("decoded", beta)):
                found = set(kept(make(value, acts_on=acts_on), row, beta))
                assert found == slow(boltzmann(row, own), value), (make, value, acts_on)


# --- what holds for all of them ------------------------------------------------------------------

ALL = [
    make(value, acts_on=acts_on)
    for acts_on in ("model", "decoded")
    for make, value in (
        (TopK, 1),
        (TopP, 1e-9),
        (MinP, 1.0),
        (TopNSigma, 1e-9),
        (Typical, 1e-9),
        (Eta, 0.999999),
        (lambda v, acts_on: XTC(0.01, v, acts_on=acts_on), 1.0),
        (Mirostat, 1e-9),
    )
]


@pytest.mark.parametrize("item", ALL, ids=repr)
@pytest.mark.parametrize("beta", BETAS)
def test_never_everything_goes_and_nothing_comes_back(item: Filter, beta: float) -> None:
    for row in (
        [0.0],
        [1.0, 1.0, 1.0],
        [5.0, -INF, 900.0, -900.0],
        [-3e4, 6e4, 0.0, -INF],
        [0.1 * i for i in range(50)],
    ):
        candidates = Candidates.of(row)
        left = item.apply(candidates, beta, item.begin())
        assert left.count >= 1
        assert not (left.open & ~candidates.open).any()
        for other in ALL:  # nor after one another
            assert other.apply(left, beta, other.begin()).count >= 1


@pytest.mark.parametrize("item", ALL, ids=repr)
def test_the_mirror_image(item: Filter) -> None:
    """Filters of the decoded distribution see −z at −β as they see z at β."""
    if item.acts_on != "decoded":
        return
    row = [0.3, -1.2, 2.0, 0.7, -0.4]
    for beta in (0.5, 1.0, INF):
        mirrored = kept(item, [-z for z in row], -beta, state=item.begin())
        assert kept(item, row, beta, state=item.begin()) == mirrored


def test_order_is_that_of_the_tuple() -> None:
    """Each filter sees the distribution renormalised over what the one before it left."""
    first, second = TopK(2, acts_on="model"), TopP(0.5, acts_on="model")
    row = [math.log(p) for p in (0.4, 0.3, 0.2, 0.1)]
    lefts = {}
    for name, filters in (("k, p", (first, second)), ("p, k", (second, first))):
        decoded = Decoder(1.0, filters).begin(0).distribution(row)
        lefts[name] = decoded.log_probabilities.exp().nonzero()[:, 0].tolist()
    assert lefts == {"k, p": [0], "p, k": [0, 1]}  # 0.4/0.7 ≥ 0.5 alone; 0.4 + 0.3 of the whole


def test_negative_temperature_among_the_likely() -> None:
    """TopK of the model and β < 0: the least likely of the k best."""
    decoded = Decoder(-INF, [TopK(3, acts_on="model")]).begin(0).distribution(FOUR)
    assert decoded.log_probabilities.exp().tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: TopK(0, acts_on="model"),
        lambda: TopK(2.5, acts_on="model"),  # type: ignore[arg-type]
        lambda: TopP(0.0, acts_on="model"),
        lambda: TopP(1.1, acts_on="model"),
        lambda: MinP(math.nan, acts_on="model"),
        lambda: TopNSigma(-1.0, acts_on="model"),
        lambda: Typical("x", acts_on="model"),  # type: ignore[arg-type]
        lambda: Eta(1.0, acts_on="model"),
        lambda: XTC(0.0, 0.5, acts_on="model"),
        lambda: XTC(0.1, 1.5, acts_on="model"),
        lambda: Mirostat(-1.0, acts_on="model"),
        lambda: Mirostat(1.0, 0.0, acts_on="model"),
    ],
)
def test_bad_settings(make: Callable[[], Filter]) -> None:
    with pytest.raises(InvalidInputError, match="accepted"):
        make()
