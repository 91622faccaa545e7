"""The size of noise for a temperature: found where there is one, refused where there is none."""

from __future__ import annotations

import hashlib
import math
import pickle
import warnings
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from llm_bridge.brownian import WeightNoise, effective_temperature, sample_logits
from llm_bridge.brownian.calibration import Calibration, _warn_if_rough, calibrate
from llm_bridge.brownian.second_order import second_order
from llm_bridge.brownian.temperature_ladder import climb, first_rung, solve
from llm_bridge.errors import (
    NoiseOverflowError,
    TextTooShortError,
    UnreachableTemperatureError,
)
from llm_bridge.models import LanguageModel, load_model
from thermo.errors import InvalidInputError, UncertaintyWarning

SEED = 20261121
WANTED = 1.03
SMALL = {"positions": 48, "draws": 16, "seed": SEED}


# ------------------------------------------------------------------------------------------------
# the search, on curves T(σ) that are known


def curve(temperature: Any, by_entropy: Any = None) -> Any:
    """A stand-in for reading a model: the two temperatures as functions of σ."""

    def read(sigma: float) -> SimpleNamespace:
        hot = temperature(sigma)
        cool = hot if by_entropy is None else by_entropy(sigma)
        return SimpleNamespace(temperature=hot, temperature_entropy=cool)

    return read


def searched(read: Any, wanted: float, tolerance: float = 0.1):
    lowest = first_rung(read, 1.0, abs(wanted - 1), WeightNoise(1.0))
    return (*climb(read, lowest, tolerance), lowest)


@pytest.mark.parametrize("coefficient", [1e-3, 0.3, 40.0])
def test_search_finds_sigma(coefficient: float) -> None:
    read = curve(lambda s: 1 + coefficient * s**2 + 2 * coefficient**2 * s**4)
    ladder, limit, first = searched(read, 1.2)
    assert 0.005 < first.temperature - 1 < 0.02
    assert limit == "hotter noise was not tried"
    sigma, fit, exponent = solve(read, ladder, 1.2)
    assert fit.temperature == pytest.approx(1.2, abs=1e-4)
    square = (math.sqrt(1 + 8 * 0.2) - 1) / 4 / coefficient
    assert sigma == pytest.approx(math.sqrt(square), rel=1e-3)
    assert 2.0 < exponent < 4.0


def test_search_stops_where_the_temperature_turns_back() -> None:
    """T = 1 + σ² − σ⁴ has its top 1.25 at σ = 0.707; of two σ with one T the smaller is found."""
    read = curve(lambda s: 1 + s**2 - s**4)
    ladder, limit, _ = searched(read, 1.22)
    assert "turns back" in limit
    assert 1.22 < ladder[-1].temperature <= 1.25
    assert solve(read, ladder, 1.22)[0] == pytest.approx(0.5719, abs=1e-3)


def test_search_stops_where_the_two_temperatures_part() -> None:
    """They differ by σ²·(T − 1): a tenth of it at σ = 0.316."""
    ladder, limit, _ = searched(curve(lambda s: 1 + s**2, lambda s: 1 + s**2 - s**4), 1.05)
    assert "by divergence" in limit
    assert math.sqrt(0.1) / 2 ** (1 / 8) < ladder[-1].sigma <= math.sqrt(0.1)
    wide, _, _ = searched(curve(lambda s: 1 + s**2, lambda s: 1 + s**2 - s**4), 1.05, 0.3)
    assert math.sqrt(0.3) / 2 ** (1 / 8) < wide[-1].sigma <= math.sqrt(0.3)


def test_search_goes_down_where_noise_cools() -> None:
    """T = 1 − σ² would pass 0 at σ = 1: as far as there is a positive temperature."""
    read = curve(lambda s: 1 - s**2)
    ladder, limit, _ = searched(read, 0.7)
    assert "the closest softmax is at T = -" in limit
    assert all(0 < rung.temperature < 1 for rung in ladder)
    assert solve(read, ladder, 0.7)[0] == pytest.approx(math.sqrt(0.3), rel=1e-3)


def test_search_stops_where_there_are_no_numbers() -> None:
    def read(sigma: float) -> SimpleNamespace:
        if sigma > 0.4:
            raise NoiseOverflowError("too much")
        return SimpleNamespace(temperature=1 + sigma**2, temperature_entropy=1 + sigma**2)

    ladder, limit, _ = searched(read, 1.1)
    assert limit.endswith("the logits are no numbers any more")
    assert 0.4 / 2 ** (1 / 8) < ladder[-1].sigma <= 0.4


def test_noise_without_effect_has_no_rung() -> None:
    with pytest.raises(InvalidInputError, match=r"T = 1, and no σ near it"):
        searched(curve(lambda s: 1.0), 1.2)
    with pytest.raises(InvalidInputError, match="accepted: noise that changes the logits smoothly"):
        searched(curve(lambda s: 1.5), 1.2)  # jumps: not of order σ²


# ------------------------------------------------------------------------------------------------
# a model


@pytest.fixture(scope="module")
def in_head(model: LanguageModel, text: str) -> Calibration:
    return calibrate(model, WANTED, text, where="head", **SMALL)


def test_noise_has_the_temperature(model: LanguageModel, text: str, in_head: Calibration) -> None:
    """The very noise that is returned, drawn by hand on both halves."""
    ids = model.encode(text)
    for half, expected in ((ids[:48], in_head.fitted), (ids[48:96], in_head.check)):
        noisy = sample_logits(model, half, in_head.noise, 16)
        fit = effective_temperature(model.logits(half), noisy, model.valid)
        assert fit.temperature == expected.temperature
    assert in_head.fitted.temperature == pytest.approx(WANTED, abs=1e-4)
    assert in_head.noise.sigma == in_head.sigma
    assert in_head.noise.where == "head"
    low, high = in_head.temperature_range
    assert low == 1.0
    assert high > WANTED
    assert 0 < in_head.temperature_share < 1
    sigmas = [rung.sigma for rung in in_head.ladder]
    assert sigmas == sorted(sigmas)
    assert in_head.ladder[-1].temperature == high


def test_error_covers_other_draws(model: LanguageModel, text: str, in_head: Calibration) -> None:
    """64 draws of three other seeds on the same text have the T within 5 errors: 2e-6 by chance.

    Negative control: noise of half the size is further off than that.
    """
    ids = model.encode(text)[:48]
    clean = model.logits(ids)
    slope = 2 * (WANTED - 1) / in_head.sigma
    assert in_head.sigma_error == pytest.approx(in_head.temperature_error / slope, rel=0.3)
    for seed in (1, 2, 3):

        def fitted(sigma: float, seed: int = seed):
            noise = WeightNoise(sigma, where="head", seed=seed)
            return effective_temperature(clean, sample_logits(model, ids, noise, 64), model.valid)

        fit, weak = fitted(in_head.sigma), fitted(in_head.sigma / 2)
        error = math.hypot(fit.draw_errors["beta"], in_head.fitted.draw_errors["beta"])
        assert abs(fit.beta - in_head.fitted.beta) < 5 * error
        assert weak.beta - fit.beta > 5 * fit.draw_errors["beta"]


def test_weak_noise_is_that_of_theory(model: LanguageModel, text: str) -> None:
    """T = 1.005 in the head: the closed form on the same text, |z| < 5 with the draws' error."""
    found = calibrate(model, 1.005, text, where="head", **SMALL)
    theory = second_order(model, model.encode(text)[:48], WeightNoise(1.0, where="head"))
    expected, _ = theory.sigma_for(1.005)
    error = found.sigma * found.fitted.draw_errors["beta"] / (2 * 0.005)
    assert abs(found.sigma - expected) < 5 * error
    assert error < 0.1 * expected


def test_absolute_noise_is_the_same_noise(
    model: LanguageModel, text: str, in_head: Calibration
) -> None:
    absolute = calibrate(model, WANTED, text, where="head", scale="absolute", **SMALL)
    weights = model.torch_module.lm_head.weight.double().numpy()
    rms = math.sqrt((weights**2).mean())
    assert absolute.sigma == pytest.approx(in_head.sigma * rms, rel=2e-3)


def test_other_side_is_refused(model: LanguageModel, text: str) -> None:
    with pytest.raises(UnreachableTemperatureError, match="weak noise on 'head' heats") as caught:
        calibrate(model, 0.9, text, where="head", **SMALL)
    low, high = caught.value.accepted
    assert low == 1.0 < high
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.accepted) == (str(caught.value), caught.value.accepted)


def test_beyond_the_range_is_refused(model: LanguageModel, text: str) -> None:
    """Noise on a random network's MLPs is no temperature of 30, and the message says why."""
    with pytest.raises(UnreachableTemperatureError, match=r"at σ = .*for this noise: 1 to"):
        calibrate(model, 30.0, text, where="mlp", **SMALL)


def test_result_in_words(in_head: Calibration) -> None:
    said = str(in_head)
    assert said.startswith("T = 1.03 is σ = ")
    assert "Other text: T = " in said
    assert "\n" not in said
    assert float(in_head.check_entropy_softmax.error) > 0


def test_same_seed_same_answer_and_model_untouched(
    model: LanguageModel, text: str, in_head: Calibration
) -> None:
    def digest() -> str:
        state = model.torch_module.state_dict()
        return hashlib.sha256(b"".join(w.numpy().tobytes() for w in state.values())).hexdigest()

    before = digest()
    again = calibrate(model, WANTED, text, where="head", **SMALL)
    assert (again.sigma, again.check.beta) == (in_head.sigma, in_head.check.beta)
    assert digest() == before


@pytest.mark.parametrize(
    ("fitted_error", "check", "check_error", "warned"),
    [
        (0.006, 1.060, 0.005, False),  # 1.3 errors
        (0.001, 1.054, 0.001, False),  # 2.8 errors
        (0.001, 1.058, 0.001, True),  # 5.7 errors
        (0.016, 1.099, 0.011, True),  # 2.5 errors, but as much as T − 1 itself
        (0.020, 1.050, 0.020, True),  # what T is nobody knows
        (math.nan, 1.050, 0.001, True),
    ],
)
def test_what_is_hardly_known_is_said(
    fitted_error: float, check: float, check_error: float, warned: bool
) -> None:
    def fit(temperature: float, error: float) -> Any:
        return SimpleNamespace(
            temperature=temperature, temperature_error=error, positions=32, draws=4
        )

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _warn_if_rough(1.05, fit(1.05, fitted_error), fit(check, check_error))
    assert [w.category for w in caught] == [UncertaintyWarning] * warned
    if warned:
        assert "32 positions and 4 draws tell no more" in str(caught[0].message)


def test_halves_that_disagree() -> None:
    """Noise on the demo model's norms, fitted on 32 positions: T = 1.05 there, 1.10 on the next 32.

    The two pairs of draws agree by chance on the first half, to 1e-5 of T. The error of σ is taken
    from the difference, and there is a warning.
    """
    demo = load_model("demo")
    with pytest.warns(UncertaintyWarning, match=r"T = 1.05 on the text.*1\.099\(19\) on the other"):
        found = calibrate(demo, 1.05, demo.held_out_text, positions=32, draws=4, where="norm")
    miss = found.check.temperature - 1.05
    apart = math.hypot(found.fitted.temperature_error, found.check.temperature_error)
    assert miss > 2 * apart
    assert found.temperature_error == pytest.approx(found.fitted.temperature_error * miss / apart)
    assert found.sigma_error > 0.3 * found.sigma
    assert "Other text: T = 1.099(19)" in str(found)


def test_unknown_arguments_are_those_of_calibrate(model: LanguageModel, text: str) -> None:
    for name in ("wher", "sigma"):
        with pytest.raises(TypeError, match=rf"^calibrate\(\) got an unexpected .*'{name}'"):
            calibrate(model, 1.1, text, **{name: 1})


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf, "hot", 1.0])
def test_bad_temperatures(model: LanguageModel, text: str, temperature: Any) -> None:
    with pytest.raises(InvalidInputError, match="temperature = "):
        calibrate(model, temperature, text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"draws": 5}, "draws = 5; an even number"),
        ({"draws": 2}, "at least 4"),
        ({"positions": 3}, "at least 16"),
        ({"tolerance": 0.0}, "tolerance = 0.0"),
        ({"progress": 1}, "progress = 1"),
        ({"law": "cauchy"}, "law = 'cauchy'"),
        ({"where": "heat"}, "matches none"),
        ({"machine": "gpu"}, "machine = 'gpu'"),
    ],
)
def test_bad_options(
    model: LanguageModel, text: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        calibrate(model, 1.1, text, **options)


def test_short_texts(model: LanguageModel) -> None:
    with pytest.raises(TextTooShortError, match="at least 32"):
        calibrate(model, 1.1, "too short")
    with pytest.raises(InvalidInputError, match="a text must be a str"):
        calibrate(model, 1.1, np.arange(100))  # type: ignore[arg-type]


def test_shortest_text(model: LanguageModel, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many tokens as the message says, and none less."""
    ids = model.encode(text)
    for given in (31, 32):
        monkeypatch.setattr(type(model), "encode", lambda *_, n=given: ids[:n])
        error = TextTooShortError if given < 32 else UnreachableTemperatureError
        with pytest.raises(error):
            calibrate(model, 0.9, "of that length", where="head", draws=4)


def test_a_temperature_next_to_1_is_shown_in_full(in_head: Calibration) -> None:
    assert str(replace(in_head, temperature=1.0000001)).startswith("T = 1.0000001 is")
