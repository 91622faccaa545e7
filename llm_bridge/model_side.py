"""The language-model column of the comparison: logits as energies, then weights that fluctuate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm_bridge.brownian import EffectiveTemperature, WeightNoise, effective_temperature
from llm_bridge.brownian.copies import sample_logits
from llm_bridge.logits import LogitRecord
from llm_bridge.models import LanguageModel
from llm_bridge.spectrum import (
    ContextAverage,
    centred,
    natural_scale,
    position_mean,
    quenched,
    thermodynamics,
)
from llm_bridge.system import Freedom, System, freedom_rows
from thermo.curves import Curve, Measured
from thermo.occupation import Occupation

__all__ = ["NoiseRow", "logit_system", "noise_rows"]

FloatArray = NDArray[np.float64]

_BINS = 14


@dataclass(frozen=True, eq=False)
class NoiseRow:
    r"""The model with frozen Gaussian noise on its weights, averaged over draws.

    All energies are the *clean* model's, in natural units and per position.

    Attributes
    ----------
    sigma : float
        Noise, relative to the rms of each weight tensor.
    effective : EffectiveTemperature
        The softmax temperature closest to the mean distribution, its error, what it leaves
        unexplained, and how much the draws disagree.
    energy, entropy, heat_capacity : Measured
        Of the mean distribution, scalars: u, H in nats, and β_eff² Var(E) under it.
    softmax_entropy : Measured
        Entropy of the clean model decoded by plain softmax at the fitted temperature. It is the
        larger one by exactly the residual: of all distributions with this mean energy the
        canonical one has the largest entropy.
    occupation : Occupation
        Its line in the Boltzmann plot, against the clean energies.
    """

    sigma: float
    effective: EffectiveTemperature
    energy: Measured
    entropy: Measured
    heat_capacity: Measured
    softmax_entropy: Measured
    occupation: Occupation


def logit_system(
    record: LogitRecord, b_grid: FloatArray, name: str, *, never_met: int = 0
) -> System:
    """Logits at many positions as one quenched system over signed β.

    Parameters
    ----------
    record : LogitRecord
        Logits (N, V).
    b_grid : ndarray, shape (B,)
        Natural inverse temperatures, falling; the model's own β = 1 is added.
    name : str
        For titles.
    never_met : int
        How many tokens the model's training never showed, if that is known.

    Returns
    -------
    System
    """
    logits = centred(record.logits, record.valid)
    scale = natural_scale(logits)
    beta = np.sort(np.append(b_grid / scale, 1.0))[::-1]
    average = quenched(thermodynamics(logits, beta), quantiles=(0.1, 0.9))

    def measured(found: ContextAverage, unit: float = 1.0) -> Measured:
        return Measured(found.mean, found.error).per(unit)

    curve = Curve(
        name=name,
        unit="position",
        scale=scale,
        beta=beta,
        energy=measured(average.internal_energy, scale),
        entropy=measured(average.entropy),
        heat_capacity=measured(average.heat_capacity),
        log_participation=measured(average.log_participation_ratio),
        log_states=float(np.log(record.valid.sum())),
        spread={
            "energy": average.internal_energy.quantiles / scale,
            "entropy": average.entropy.quantiles,
            "heat_capacity": average.heat_capacity.quantiles,
        },
    )
    # Softmax of these very logits: straight by construction, drawn for the eye to compare with.
    lines = [
        _occupation(f"T = {1 / b:+g}".replace("-", "−"), logits, b * logits, b, scale, given=b)
        for b in (1.0, -1.0)
    ]
    return System(
        "logits",
        curve,
        freedom_rows(
            curve,
            equipartition=Freedom(
                "equipartition, 2βU", None, None, "logits are not quadratic in anything"
            ),
            kinetic=Freedom("kinetic, 3N − constraints − 3", None, None, "tokens have no momentum"),
            learning=Freedom(
                "local learning coefficient, 2λ",
                None,
                None,
                "defined for the weights, not the tokens; needs Langevin sampling of the weights",
            ),
        ),
        occupations=tuple(lines),
        details={
            "positions": average.positions,
            "vocabulary": int(record.valid.sum()),
            "never_met_tokens": never_met,
            "native_b": scale,
            "sigma0_error": float(
                average.energy_variance.error[np.argmin(np.abs(beta))] / (2 * scale)
            ),
        },
    )


def noise_rows(
    model: LanguageModel,
    ids: NDArray[np.int64],
    record: LogitRecord,
    *,
    scale: float,
    sigmas: Sequence[float],
    draws: int,
    seed: int,
    tick: Callable[[], None],
) -> list[NoiseRow]:
    """Mean distribution, disagreement and fitted temperature at several noise strengths.

    Parameters
    ----------
    model : LanguageModel
    ids : ndarray of int, shape (N,)
        What the model reads; row t of the record is its prediction after ``ids[t]``.
    record : LogitRecord
        The clean logits (N, V).
    scale : float
        σ₀ of the clean logits.
    sigmas : sequence of float
    draws : int
        Even: the draws are antithetic pairs.
    seed : int
    tick : callable
        Called once after each σ.

    Returns
    -------
    list of NoiseRow
    """
    clean = centred(record.logits, record.valid)
    rows = []
    for sigma in sigmas:
        noise = WeightNoise(sigma, seed=seed)
        noisy = sample_logits(model, ids, noise, draws)
        effective = effective_temperature(record.logits, noisy, record.valid)
        rows.append(_noise_row(sigma, clean, noisy, effective, record, scale))
        del noisy  # one σ in memory at a time
        tick()
    return rows


def _noise_row(
    sigma: float,
    clean: FloatArray,
    noisy: NDArray[np.floating],
    effective: EffectiveTemperature,
    record: LogitRecord,
    scale: float,
) -> NoiseRow:
    log_mean = _log_mean_distribution(noisy, record.valid)
    p = np.exp(log_mean)
    e = -clean[:, record.valid]
    mean = (p * e).sum(axis=1)
    variance = (p * e * e).sum(axis=1) - mean**2
    beta = float(effective.beta)
    state = thermodynamics(clean, beta, record.valid)

    def measured(values: FloatArray, unit: float = 1.0) -> Measured:
        found = position_mean(values)
        return Measured(found.mean, found.error).per(unit)

    return NoiseRow(
        sigma=sigma,
        effective=effective,
        energy=measured(mean, scale),
        # with the bias of few draws taken off, as everywhere else
        entropy=Measured(*map(np.asarray, (effective.entropy_mean, effective.entropy_mean_error))),
        heat_capacity=measured(beta**2 * variance),
        softmax_entropy=measured(state.entropy),
        occupation=_occupation(
            f"σ = {sigma:g}", clean[:, record.valid], log_mean, beta, scale, effective=effective
        ),
    )


def _log_mean_distribution(noisy: NDArray[np.floating], valid: NDArray[np.bool_]) -> FloatArray:
    """ln of the mean over draws of softmax(noisy), shape (N, valid tokens)."""
    total = None
    for draw in noisy:
        z = draw[:, valid].astype(np.float64)
        z -= z.max(axis=1, keepdims=True)
        z -= np.log(np.exp(z).sum(axis=1, keepdims=True))
        total = z if total is None else np.logaddexp(total, z, out=total)
    assert total is not None
    return total - np.log(len(noisy))


def _occupation(
    name: str,
    clean: FloatArray,
    log_p: FloatArray,
    beta: float,
    scale: float,
    *,
    given: float = float("nan"),
    effective: EffectiveTemperature | None = None,
) -> Occupation:
    """A Boltzmann line over all positions: ln p + ln Z_t(β) against energy, in bins of energy.

    Each position has its own ln Z; with it added, canonical populations of every position lie on
    one line through the origin. Masked tokens, −inf in ``clean``, take no part.
    """
    shown = np.isfinite(clean)
    log_p = np.where(shown, log_p, -np.inf)
    log_p -= np.logaddexp.reduce(log_p, axis=1, keepdims=True)
    log_z = np.logaddexp.reduce(beta * clean, axis=1, keepdims=True, initial=-np.inf, where=shown)
    u = -clean[shown] / scale
    off = (log_p + log_z)[shown] + beta * scale * u  # distance from the canonical line
    edges = np.linspace(u.min(), u.max(), _BINS + 1)
    index = np.clip(np.digitize(u, edges) - 1, 0, _BINS - 1)
    least = max(1, min(20, u.size // 100))  # a handful of tokens has no quantiles
    filled = [
        members for k in range(_BINS) if (members := np.flatnonzero(index == k)).size >= least
    ]
    centre = np.array([u[m].mean() for m in filled])
    line = -beta * scale * centre
    position = np.nonzero(shown)[0]
    mean, error = np.array([_mean_over_positions(off[m], position[m]) for m in filled]).T
    return Occupation(
        name=name,
        b=given * scale,
        u=centre,
        y=line + mean,
        error=np.zeros_like(error) if effective is None else error,  # softmax is exact
        fitted_b=beta * scale,
        fitted_error=float("nan") if effective is None else float(effective.stderr) * scale,
        residual=0.0 if effective is None else float(effective.residual_kl),
        spread=line + np.array([np.quantile(off[m], (0.1, 0.9)) for m in filled]).T,
    )


def _mean_over_positions(values: FloatArray, position: NDArray[np.int64]) -> tuple[float, float]:
    """Mean of all values, and its error if positions, not tokens, are independent of each other."""
    mean = float(values.mean())
    off = np.bincount(position, values - mean)[np.bincount(position) > 0]
    if off.size < 2:
        return mean, float("nan")
    return mean, float(np.sqrt((off**2).sum() * off.size / (off.size - 1))) / values.size
