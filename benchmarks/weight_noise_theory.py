"""What temperature is weight noise? The predictions of second order beside the demo model.

Experiments 1 (powers and prefactors in σ), 2 (places in the model), 3 (calibration to a
temperature) and 7 (rank-one noise) of docs/brownian_experiments.rst.
Usage: ``python benchmarks/weight_noise_theory.py [--json FILE] [--only 1 3 ...] [--tiny]``. Takes
about three minutes of a core.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from noisy_demo import SEED, Laboratory, Part, run, within
from predictions import Experiment, Line, Rule
from scipy.special import log_softmax, softmax

from llm_bridge.brownian import effective_temperature
from llm_bridge.brownian.calibration import calibrate
from llm_bridge.brownian.second_order import second_order, second_order_of
from llm_bridge.errors import UnreachableTemperatureError
from llm_bridge.spectrum import thermodynamics
from thermo.estimate.jackknife import jackknife

COLDEST = 6  # tensors, of which the mean of noisy models is looked at too
COLD_SIGMA = 0.5
PLACES = ("head", "norm", "embedding", "attention", "mlp", "all")


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Of a straight line in doubly logarithmic axes."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def reach(foretold: np.ndarray, found: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
    """Highest T up to which a foretold T − 1 is right within 10 %, between two points, and error.

    The highest of all where it never fails.
    """

    def crossing(shift: float) -> float:
        off = np.abs(found / foretold - 1) + shift * errors / foretold - 0.1
        beyond = np.flatnonzero(off > 0)
        k = int(beyond[0]) if beyond.size else len(off) - 1
        if k == 0 or not beyond.size:
            return float(1 + foretold[k])
        share = off[k - 1] / (off[k - 1] - off[k])
        return float(1 + foretold[k - 1] + share * (foretold[k] - foretold[k - 1]))

    return crossing(0.0), 0.5 * (crossing(-1.0) - crossing(1.0))


# ------------------------------------------------------------------------------------------------
# 1. Powers of σ


def powers(lab: Laboratory, record: dict[str, Any]) -> Iterator[Line]:
    """KL to the best softmax ∝ σ⁴, disagreement and change of entropy ∝ σ²."""
    sweeps = {
        "head": (lab.head_fit, 0.1 * math.sqrt(2) ** np.arange(8)),
        "all": (lambda s: lab.drawn("all", s), 0.02 * math.sqrt(2) ** np.arange(9)),
    }
    for where, (fit_at, sigmas) in sweeps.items():
        theory = lab.theory(where)
        fits = [fit_at(float(s)) for s in sigmas]
        curves = {
            "T − 1": [f.temperature - 1 for f in fits],
            "change of entropy": [f.entropy_mean - f.entropy_clean for f in fits],
            "disagreement": [f.disagreement for f in fits],
            "residual KL": [f.residual_kl for f in fits],
        }
        draw = {
            "T − 1": "beta",
            "change of entropy": "entropy_mean",
            "disagreement": "disagreement",
            "residual KL": "residual_kl",
        }
        coefficients = dict(
            zip(
                curves,
                (theory.temperature, theory.entropy, theory.disagreement, theory.residual_kl),
                strict=True,
            )
        )
        for name, values in curves.items():
            power = 4 if name == "residual KL" else 2
            relative = fits[0].draw_errors[draw[name]] / values[0]
            found = slope(sigmas[:3], values[:3])
            key = where == "all"
            yield Line(1, f"{where}: power of {name}", power, found, 1.5 * relative, within(0.03),
                       key=key)  # fmt: skip
            value, error = coefficients[name]
            measured = values[0] / sigmas[0] ** power
            paired = where != "head" and power == 2
            error = error if paired else math.hypot(error, relative * measured)
            unit = "σ⁴" if power == 4 else "σ²"
            rule = within(paired=paired)
            yield Line(1, f"{where}: ({name})/{unit}", value, measured, error, rule, key=key)
        foretold = theory.temperature.value * sigmas**2
        errors = np.array([f.draw_errors["beta"] for f in fits])
        reached, error = reach(foretold, np.array(curves["T − 1"]), errors)
        quantity = f"{where}: T − 1 within 10 % of ∝ σ² up to T"
        yield Line(1, quantity, None, reached, error, key=True)
        record[where] = {
            "sigma": sigmas.tolist(),
            "measured": curves,
            "errors": {n: [f.draw_errors[draw[n]] for f in fits] for n in curves},
            "coefficients": {n: tuple(c) for n, c in coefficients.items()},
            "temperature_by_entropy": [f.temperature_entropy for f in fits],
        }
    sigma, draws = 0.1, 2 * lab.settings.pairs
    free = lab.head(sigma, antithetic=False)
    fit = effective_temperature(lab.clean(0), free, lab.model.valid, antithetic=False)
    raw, error = (
        fit.residual_kl + fit.finite_draw_bias["residual_kl"],
        fit.draw_errors["residual_kl"],
    )
    floor = fit.disagreement / draws
    share = 2 * lab.theory("head").residual_kl.value * sigma**4 / floor
    yield Line(1, "head, no pairs: floor of KL", floor, raw, error, within(round(0.1 + share, 2)))


# ------------------------------------------------------------------------------------------------
# 2. Places


def places(lab: Laboratory, record: dict[str, Any]) -> Iterator[Line]:
    """Where the noise is, at the σ that should have T = 1.01."""
    shares = {}
    for where in PLACES:
        theory = lab.theory(where)
        sigma = theory.sigma_for(1.01).value
        weak = theory.at(sigma)
        fit = lab.head_fit(sigma) if where == "head" else lab.drawn(where, sigma)
        label, clean = f"{where}, σ = {sigma:.3f}: ", fit.entropy_clean
        for name, own, predicted, found in (
            ("temperature", "T − 1", weak.temperature - 1, fit.temperature - 1),
            ("disagreement", "disagreement", weak.disagreement, fit.disagreement),
            ("aleatoric", "members' change of entropy", weak.aleatoric - clean,
             fit.aleatoric - clean),
        ):  # fmt: skip
            error = fit.draw_errors["beta" if name == "temperature" else name]
            if where != "head":  # that of the directions, the same for both
                error = getattr(weak, f"{name}_error")
            slack = 0.1 if name == "aleatoric" else 0.05  # a difference of two large numbers
            rule = within(slack, paired=where != "head")
            yield Line(2, label + own, predicted, found, error, rule, key=name == "temperature")
        p = softmax(theory.logits, axis=1)
        gain, u = theory.shift + 0.5 * theory.spread, -log_softmax(theory.logits, axis=1)
        heat = (p * gain * u).sum(1) - (p * gain).sum(1) * (p * u).sum(1)
        shares[where] = {
            "temperature_share": tuple(theory.temperature_share),
            "positions_cooled": float((heat < 0).mean()),
            "members_sharpen": bool(theory.aleatoric.value < 0),
        }
    record["places"] = shares
    sharpened = [where for where in PLACES if shares[where]["members_sharpen"]]
    quantity = f"of {len(PLACES)} places, those whose members sharpen"
    yield Line(2, quantity, len(PLACES), len(sharpened), key=True)
    scanned = lab.settings.scanned
    names = [name for name, _ in lab.model.torch_module.named_parameters()][:scanned]
    ids = lab.halves[0][:32]
    found = {}
    for name in names:
        found[name] = second_order(lab.model, ids, lab.noise(name), probes=8).temperature
    record["tensors"] = {name: tuple(each) for name, each in found.items()}
    coldest = sorted(names, key=lambda name: found[name].value)[:COLDEST]
    least = found[coldest[0]]
    quantity = f"least (T − 1)/σ² of {len(names)} tensors, by second order"
    yield Line(2, quantity, 0.0, least.value, least.error, within(), bound="<")
    measured = {}
    for name in coldest:
        fit = lab.drawn(name, COLD_SIGMA)
        measured[name] = fit.temperature - 1, fit.draw_errors["beta"]
    record["coldest_measured"] = measured
    name = min(measured, key=lambda each: measured[each][0])
    quantity = f"least T − 1 of the {len(coldest)} coldest tensors by theory, σ = {COLD_SIGMA}"
    yield Line(2, quantity, 0.0, *measured[name], within(), bound="<", key=True)
    cooled = max(each["positions_cooled"] for each in shares.values())
    error = math.sqrt(cooled * (1 - cooled) / len(lab.halves[0]))
    yield Line(
        2, "largest share of positions that a place cools, by second order", None, cooled, error
    )
    yield from zipf()


def zipf() -> Iterator[Line]:
    """50 000 tokens with p ∝ 1/rank, the same independent noise on all logits."""
    logits = -np.log(np.arange(1.0, 50_001))[None]
    theory = second_order_of(logits, np.ones_like(logits))
    exact = within(0.01)
    yield Line(2, "Zipf, 50 000 tokens: (T − 1)/s²", 0.0054, theory.temperature.value, rule=exact)
    yield Line(2, "Zipf: disagreement/s²", 0.494, theory.disagreement.value, rule=exact)
    change = 0.5 * np.random.default_rng(SEED).normal(size=(150, 1, *logits.shape[1:]))
    noisy = np.stack([logits + change, logits - change], axis=1).reshape(300, *logits.shape)
    fit, weak = effective_temperature(logits, noisy), theory.at(0.5)
    yield Line(2, "Zipf, s = 0.5: T − 1", weak.temperature - 1, fit.temperature - 1,
                 fit.draw_errors["beta"], within(0.1))  # fmt: skip
    yield Line(2, "Zipf, s = 0.5: disagreement", weak.disagreement, fit.disagreement,
                 fit.draw_errors["disagreement"], within())  # fmt: skip


# ------------------------------------------------------------------------------------------------
# 3. Calibration


def calibration(lab: Laboratory, record: dict[str, Any]) -> Iterator[Line]:
    """σ from the formula on one text; temperature and entropy on another."""
    for where in ("head", "all"):
        curve: dict[str, list[float]] = {
            key: []
            for key in (
                "wanted",
                "sigma",
                "same",
                "same_error",
                "other",
                "error",
                "entropy",
                "softmax_entropy",
            )
        }
        for wanted in (1.02, 1.05, 1.1, 1.2, 1.3, 1.5):
            sigma, sigma_error = lab.theory(where).sigma_for(wanted)
            same, other = (
                lab.head_fit(sigma, half) if where == "head" else lab.drawn(where, sigma, half=half)
                for half in (0, 1)
            )
            gained = other.entropy_mean - other.entropy_clean
            hot = thermodynamics(lab.clean(1), 1 / wanted, lab.model.valid).entropy.mean()
            error = math.hypot(other.temperature_error, same.temperature_error)  # two texts
            error = math.hypot(error, 2 * (wanted - 1) * sigma_error / sigma)
            new = (
                wanted,
                sigma,
                same.temperature,
                same.draw_errors["beta"],
                other.temperature,
                error,
                other.entropy_mean,
                hot,
            )
            for key, value in zip(curve, new, strict=True):
                curve[key].append(float(value))
            if wanted == 1.02:
                continue
            yield Line(3, f"{where}, T = {wanted:g}: T − 1 of this text", wanted - 1,
                         same.temperature - 1, same.draw_errors["beta"], within(0.1))  # fmt: skip
            yield Line(3, f"{where}, T = {wanted:g}: T − 1 of another text", wanted - 1,
                         other.temperature - 1, error, within(0.1), key=wanted in (1.1, 1.3)
                         )  # fmt: skip
            if wanted in (1.1, 1.3, 1.5):
                soft = hot - other.entropy_clean
                yield Line(3, f"{where}, T = {wanted:g}: entropy gained there", soft, gained,
                             error * soft / (wanted - 1), within(0.1))  # fmt: skip
        record[f"calibration_{where}"] = curve
        foretold, found = np.array(curve["wanted"]) - 1, np.array(curve["same"]) - 1
        last, error = reach(foretold, found, np.array(curve["same_error"]))
        expected = 1.3 if where == "head" else None
        quantity = f"{where}: formula within 10 % up to T"
        yield Line(3, quantity, expected, last, error, within(0.1), key=True)
    n = lab.settings.positions
    for where in ("head", "all", "embedding"):
        options = {"where": where, "positions": n, "draws": 16, "seed": SEED}
        try:
            found = calibrate(lab.model, 1.1, lab.text, **options)
        except UnreachableTemperatureError as error:
            limit = error.accepted[1]
            yield Line(3, f"{where}: T = 1.1 asked of calibrate, refused above T", None, limit)
            continue
        fit = found.check
        error = math.hypot(fit.temperature_error, found.fitted.temperature_error)
        yield Line(3, f"{where}: calibrated, T − 1 of another text", 0.1, fit.temperature - 1,
                   error, within(), key=True)  # fmt: skip
        high = found.temperature_range[1]
        yield Line(3, f"{where}: calibrate accepts up to T", None, high)


# ------------------------------------------------------------------------------------------------
# 7. Rank one


def rank_one(lab: Laboratory, record: dict[str, Any]) -> Iterator[Line]:
    """Rank-one noise against independent entries: equal at σ², not at σ⁴.

    In the head δz_i = σs A_i (B·h), so that independent noise is multiplied by one normal number η
    for all tokens: E η² = 1 and E η⁴ = 3, and the coefficient of σ⁴ in every mean is three times
    that of independent entries. (η is integrated, ξ drawn.)
    """
    count, sigma = 2 * lab.settings.pairs, 0.05
    clean, size = lab.theory("head").logits[:32], lab.sizes()[:32]
    p, u = softmax(clean, axis=1), -log_softmax(clean, axis=1)
    u -= (p * u).sum(axis=1, keepdims=True)
    rng = np.random.default_rng(SEED)
    nodes, weights = np.polynomial.hermite_e.hermegauss(8)
    weights = 2 * weights[nodes > 0] / weights.sum()  # η and −η are an antithetic pair
    nodes = nodes[nodes > 0]

    def beyond(change: np.ndarray) -> float:
        """⟨u⟩ after ±δz, less what it was before and less the order σ² of this very δz."""
        both = 0.5 * (softmax(clean + change, axis=1) + softmax(clean - change, axis=1))
        return float(((both - p * (1 + 0.5 * change**2)) * u).sum(axis=1).mean())

    found = np.empty((count, 2))
    for k in range(count):
        xi = sigma * size * rng.normal(size=clean.shape)
        xi -= (p * xi).sum(axis=1, keepdims=True)
        mixed = sum(w * beyond(eta * xi) for eta, w in zip(nodes, weights, strict=True))
        found[k] = beyond(xi), mixed
    ratio, error = jackknife(lambda each: each[1] / each[0], found)
    yield Line(7, "head: ⟨u⟩ at σ⁴, rank one over independent", 3.0, float(ratio), float(error),
               within(), key=True)  # fmt: skip
    first, second = (lab.theory("attention", law).temperature for law in ("gaussian", "low_rank"))
    error = math.hypot(first.error, second.error)
    yield Line(7, "attention: (T − 1)/σ², rank one", first.value, second.value, error, within(),
               key=True)  # fmt: skip
    sigmas, rows, rest = [0.1, 0.2, 0.4], {}, {}
    for law in ("gaussian", "low_rank"):
        energies = np.stack([lab.pair_energies("attention", s, law) for s in sigmas], axis=1)
        rows[law] = [lab.temperature_of(float(e)) for e in energies.mean(axis=0)]
        power = jackknife(lambda e: np.log2(np.divide(*beyond_squares(lab, e)[::-1])), energies)
        rest[law] = jackknife(lambda e: beyond_squares(lab, e)[0], energies)
        yield Line(7, f"attention, {law}: power of what is beyond σ²", 4.0, float(power.value),
                   float(power.error), within(0.1))  # fmt: skip
    apart = float(rest["low_rank"].value / rest["gaussian"].value)
    error = apart * math.hypot(*(float(each.error / each.value) for each in rest.values()))
    yield Line(7, "attention: T at σ⁴, rank one over independent", 1.0, apart, error,
               Rule(errors=3.0), bound=">", key=True)  # fmt: skip
    record["rank_one"] = {"sigma": sigmas, "temperature": rows}


def beyond_squares(lab: Laboratory, energies: np.ndarray) -> np.ndarray:
    """T − 1 of noise of 2σ less four times that of σ, from mean energies at σ, 2σ, 4σ: two values.

    What is ∝ σ² drops out, without a theory of it.
    """
    heat = np.array([lab.temperature_of(float(e)) for e in energies]) - 1
    return heat[1:] - 4 * heat[:-1]


EXPERIMENTS: dict[int, tuple[Experiment, Part]] = {
    1: (
        Experiment(
            "Powers of σ",
            "T − 1, change of entropy and disagreement grow as σ², what no softmax explains as σ⁴, "
            "with prefactors from derivatives of the logits.",
        ),
        powers,
    ),
    2: (
        Experiment(
            "Places",
            "Each place has a temperature of its own, some below 1; members of the ensemble "
            "sharpen.",
        ),
        places,
    ),
    3: (
        Experiment(
            "Calibration",
            "σ for a wanted T by the formula of second order, right on other text too; it fails "
            "above T = 1.3 in the head.",
        ),
        calibration,
    ),
    7: (
        Experiment("Rank one", "Noise of rank one agrees with independent noise at σ², not at σ⁴."),
        rank_one,
    ),
}


if __name__ == "__main__":
    run(
        "weight_noise_theory",
        "Weight noise as a temperature: predictions of second order and measurements",
        EXPERIMENTS,
        __doc__,
    )
