"""The language-model column of the comparison: logits as energies, then weights that fluctuate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm_bridge.brownian import EffectiveTemperature, WeightNoise, effective_temperature
from llm_bridge.brownian.sampling import sample_logits
from llm_bridge.logits import LogitRecord
from llm_bridge.models import LanguageModel
from llm_bridge.quenched import ContextAverage, position_mean, quenched
from llm_bridge.spectrum import centred, natural_scale, thermodynamics
from llm_bridge.system import Freedom, System, freedom_rows
from llm_bridge.token_occupation import token_occupation
from thermo.curves import Curve, Measured
from thermo.estimate.jackknife import jackknife
from thermo.occupation import Occupation

__all__ = ["NoiseRow", "logit_system", "noise_rows"]

FloatArray = NDArray[np.float64]

_DRAW_BYTES = 1 << 30


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
        Of the mean distribution, scalars: u, H in nats, and β_eff² Var(E) under it. Errors are
        over draws and over the text, in quadrature.
    softmax_entropy, softmax_heat_capacity : Measured
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
    softmax_heat_capacity: Measured
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
        token_occupation(
            f"T = {1 / b:+g}".replace("-", "−"), logits, b * logits, beta=b, scale=scale, given=b
        )
        for b in (1.0, -1.0)
    ]
    return System(
        "logits",
        curve,
        freedom_rows(
            curve,
            equipartition=Freedom(
                "equipartition, 2βU (β → 0 limit)", None, None, "logits are no quadratic energy"
            ),
            kinetic=Freedom(
                "kinetic, dN − constraints − conserved", None, None, "tokens have no momentum"
            ),
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

    All draws of one σ are held at once; with a large vocabulary only as many positions are read
    as fit into 1 GiB then (``effective.positions`` says how many).

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
        The same for every σ: rows differ by the size of the noise only, and are correlated.
    tick : callable
        Called once after each σ.

    Returns
    -------
    list of NoiseRow
    """
    fitting = max(2, _DRAW_BYTES // (4 * draws * record.logits.shape[1]))
    logits = record.logits
    if fitting < len(ids):
        ids = ids[:fitting]
        logits = model.logits(ids)  # anew: near its end a shorter text is read in other windows
    rows = []
    for sigma in sigmas:
        noisy = sample_logits(model, ids, WeightNoise(sigma, seed=seed), draws)
        effective = effective_temperature(logits, noisy, record.valid)
        rows.append(_noise_row(sigma, logits, noisy, effective, record.valid, scale))
        del noisy  # one σ in memory at a time
        tick()
    return rows


def _noise_row(
    sigma: float,
    logits: NDArray[np.float32],
    noisy: NDArray[np.floating],
    effective: EffectiveTemperature,
    valid: NDArray[np.bool_],
    scale: float,
) -> NoiseRow:
    clean = centred(logits, valid)[:, valid]
    log_mean, first, second = _mixture(noisy, valid, -clean)
    beta = float(effective.beta)
    state = thermodynamics(clean, beta)
    stiffness = float(state.energy_variance.mean())
    reached = float(first.mean())

    def over_draws(energy: FloatArray, square: FloatArray) -> FloatArray:
        """u and C from mean energies and squares (N,) of some of the draws; β follows U."""
        fitted = beta - (energy.mean() - reached) / stiffness
        return np.array([energy.mean() / scale, fitted**2 * (square - energy**2).mean()])

    pairs = (x.reshape(-1, 2, x.shape[1]).mean(axis=1) for x in (first, second))
    (u, capacity), draw_error = jackknife(over_draws, *pairs)
    mean = first.mean(axis=0)
    text_error = [
        position_mean(mean / scale).error,
        position_mean(beta**2 * (second.mean(axis=0) - mean**2)).error,
    ]
    u_error, capacity_error = np.hypot(draw_error, text_error)
    softmax = position_mean(np.stack([state.entropy, state.heat_capacity], axis=1))
    return NoiseRow(
        sigma=sigma,
        effective=effective,
        energy=Measured(u, u_error),
        # with the bias of few draws taken off, as everywhere else
        entropy=Measured(*map(np.asarray, (effective.entropy_mean, effective.entropy_mean_error))),
        heat_capacity=Measured(capacity, capacity_error),
        softmax_entropy=Measured(softmax.mean[0], softmax.error[0]),
        softmax_heat_capacity=Measured(softmax.mean[1], softmax.error[1]),
        occupation=token_occupation(
            f"σ = {sigma:g}",
            clean,
            log_mean,
            beta=beta,
            scale=scale,
            stderr=float(effective.stderr),
            residual=float(effective.residual_kl),
        ),
    )


def _mixture(
    noisy: NDArray[np.floating], valid: NDArray[np.bool_], energies: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """ln p̄, (N, V), of the mean over draws; ⟨E⟩ and ⟨E²⟩ of each draw, (draws, N)."""
    open_tokens = np.isfinite(energies)
    e = np.where(open_tokens, energies, 0.0)
    total = np.zeros(e.shape)
    first, second = (np.empty(noisy.shape[:2]) for _ in range(2))
    for k, draw in enumerate(noisy):
        p = draw[:, valid].astype(np.float64)
        p[~open_tokens] = -np.inf
        p -= p.max(axis=1, keepdims=True)
        np.exp(p, out=p)
        p /= p.sum(axis=1, keepdims=True)
        first[k] = np.einsum("tv,tv->t", p, e)
        second[k] = np.einsum("tv,tv,tv->t", p, e, e)
        total += p
    smallest = np.finfo(np.float64).tiny  # e⁻⁷⁰⁸: below it a Boltzmann plot has nothing to show
    return np.log(np.maximum(total / len(noisy), smallest)), first, second
