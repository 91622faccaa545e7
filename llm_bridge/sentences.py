"""What the comparison says, in plain sentences with this run's own numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thermo.estimate.autocorrelation import rounded_to_error

if TYPE_CHECKING:
    from llm_bridge.compare import Comparison
    from llm_bridge.system import System

__all__ = ["Sentences", "sentences"]


@dataclass(frozen=True)
class Sentences:
    """Text of the report.

    Attributes
    ----------
    summary : tuple of str
        One paragraph per system.
    carries_over, does_not : tuple of (str, str)
        A claim in a few words, and its explanation.
    captions : dict of str to str
        One per panel.
    """

    summary: tuple[str, ...]
    carries_over: tuple[tuple[str, str], ...]
    does_not: tuple[tuple[str, str], ...]
    captions: dict[str, str]


def sentences(comparison: Comparison) -> Sentences:
    """Write the text of the report from the numbers of a comparison.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    Sentences
    """
    return Sentences(
        _summary(comparison), _carries_over(comparison), _does_not(comparison), _captions()
    )


def _summary(comparison: Comparison) -> tuple[str, ...]:
    _, ising, oscillator, model = comparison.systems
    curve = model.curve
    native = int(np.argmin(np.abs(curve.beta - 1.0)))
    tokens = float(np.exp(curve.entropy.value[native]))
    low, high = curve.spread["entropy"][:, native]
    at = int(np.argmin(np.abs(curve.b + 10.0)))
    hottest = float(np.exp(curve.entropy.value[at]))
    agreement = ising.details["agreement"]
    found = [
        "A two-level paramagnet, exactly: its entropy rises with energy until both levels are "
        "equally full (β = 0) and then falls. On the falling side the upper level is the fuller "
        "one: population inversion, β < 0, T < 0. Nothing happens at T = 0 on the way; the "
        "system passes through T = ±∞.",
        f"An Ising lattice of {comparison.settings['lattice_size']}² spins, sampled by Monte Carlo "
        f"at {agreement['points']} inverse temperatures of both signs. The points agree with the "
        f"exact finite-size curve (worst deviation {agreement['worst_z_energy']:.1f} standard "
        "errors). Its heat capacity has two peaks: ferromagnetic order below T = +2.269 J and "
        "antiferromagnetic order above T = −2.269 J, with the same Hamiltonian.",
        f"An oscillator with the same gap as the paramagnet; {oscillator.curve.ends}",
        f"A language model reading {model.details['positions']} positions of text, each "
        f"position's {model.details['vocabulary']} logits taken as energies E = −logit. Its "
        f"natural scale is σ₀ = {curve.scale:.3g} nats, so its own T = 1 lies at "
        f"βσ₀ = {curve.scale:.3g}: cold, with about {tokens:.0f} effective tokens (entropy "
        f"{low:.2f} to {high:.2f} nats between the 10 % most and least certain contexts). "
        f"At β < 0 the least likely tokens take over: {hottest:.0f} of them at βσ₀ = −10."
        f"{_never_met(model)}",
    ]
    if comparison.noise:
        row = comparison.noise[-1]
        fit = row.effective
        found.append(
            f"The same model with Gaussian noise of {row.sigma:g} of each tensor's rms on its "
            "weights: the mean distribution resembles softmax at "
            f"T = {rounded_to_error(fit.temperature, fit.temperature_error)}, but "
            f"{rounded_to_error(fit.residual_kl, fit.residual_kl_error)} nats per position "
            "remain that no temperature explains, single draws disagree by "
            f"{rounded_to_error(fit.disagreement, fit.disagreement_error)} nats, and the most "
            f"likely token changes at {100 * fit.top1_flips:.0f} % of positions; plain softmax at "
            "that temperature does none of this."
        )
    else:
        found.append(comparison.no_noise_reason)
    return tuple(found)


def _never_met(model: System) -> str:
    """What the hot side of the demo model consists of."""
    count = model.details.get("never_met_tokens")
    if not count:
        return ""
    return (
        f" Its tokenizer has {count} tokens that its training never showed; nothing ever told the "
        "model how unlikely each of them is, so they form a crowd of nearly equal energy."
    )


def _carries_over(comparison: Comparison) -> tuple[tuple[str, str], ...]:
    scale = comparison.model_system.curve.scale
    return (
        (
            "Levels, populations, β.",
            "Softmax of logits divided by T is the Boltzmann distribution of the energies "
            "E = −logit, exactly; β = 1/T. Every formula for S, U and C then holds for both "
            "columns, because it needs only the list of energies.",
        ),
        (
            "The arch and its slope.",
            "Both columns have a highest and a lowest energy, so S(U) rises and falls, and its "
            "slope is β: positive, zero, negative. T = +∞ and T = −∞ are one point, the top.",
        ),
        (
            "One parabola near the top.",
            "In units of σ₀ every bounded system is S = S₀ − u²/2 near β = 0, spins and tokens "
            f"alike. They differ in how they leave it; the model's T = 1 (βσ₀ = {scale:.2g}) "
            "is far outside.",
        ),
        (
            "Negative temperature.",
            "It needs an upper bound of the energy and nothing else: the lattice orders "
            "antiferromagnetically, the model prefers the tokens it thinks impossible. The limits "
            "β → ±∞ are the ground state and the top state: greedy decoding (argmax) and argmin.",
        ),
        (
            "Heat capacity is a variance.",
            "C/k = β²Var(E). At β = 1 it is the varentropy of the model's prediction.",
        ),
    )


def _does_not(comparison: Comparison) -> tuple[tuple[str, str], ...]:
    return (
        (
            "No dynamics, no bath, no equilibrium.",
            "Spins exchange energy until they share one β, and heat flows from small to large β. "
            "Tokens do not: T is imposed by dividing logits, position by position, and nothing "
            "relaxes. There is no heat flow and no zeroth law between tokens.",
        ),
        (
            "No phase transition in one position.",
            "The lattice's heat-capacity peaks grow with its size because spins interact. The "
            "levels of one position are just a list; its broad hump is a Schottky anomaly.",
        ),
        (
            "A gauge instead of a zero of energy.",
            "Adding a constant to all logits of a position changes nothing. U and F of two "
            "models, or of two positions, cannot be compared; S, C and differences of U can.",
        ),
        (
            "T = 1 is special for a model only.",
            "A model is trained so that T = 1 fits its text. No temperature is special to a "
            "spin lattice in this sense.",
        ),
        (
            "Temperature per token is not temperature of text.",
            "Tempering each next-token distribution and multiplying them is not tempering the "
            "distribution of whole texts.",
        ),
        (
            "No symmetry between hot and cold.",
            "The lattice is its own mirror image at −β (two sublattices, no field). The model "
            "is not: likely tokens stand out singly, unlikely ones come in crowds.",
        ),
        (
            "Weight noise is not a temperature.",
            "It mixes many distributions. The mean has a best-fitting T, but also a residual, "
            "disagreement between draws, and changed ranks. A temperature has none of them.",
        ),
        (
            "Degrees of freedom do not carry over by name.",
            "Kinetic and equipartition counts need momenta and quadratic energies. Effective "
            "states and participation ratio exist on both sides; 2C/k exists but counts nothing "
            "there.",
        ),
    )


def _captions() -> dict[str, str]:
    return {
        "arch": "Entropy against energy, both measured from the state at β = 0, per unit. The "
        "slope of the curve is β; the short thick lines are tangents. Colour is β everywhere: "
        "blue cold, grey β = 0, red hot. The oscillator is drawn from the paramagnet's ground "
        "state with the same gap: the two start together, and only one of them has a ceiling. "
        "Points of the Ising lattice are sampled (error bars are mostly smaller than the "
        "symbols), its line is exact. Inset: the whole arch of the language model; stars are "
        "mean distributions under weight noise, each below the arch by its residual.",
        "spins": "How occupied a state is against its energy. Lines fall at T > 0, are level at "
        "β = 0 and rise at T < 0 (population inversion); the slope is −β. Circles: the two levels "
        "of the paramagnet. Squares: sampled energies of the Ising lattice divided by the exact "
        "number of states, with the β fitted to them. Triangles: the lowest levels of the "
        "oscillator, which has lines for β > 0 only.",
        "tokens": "The same plot for tokens; each context's own ln Z is added, so that all "
        "contexts share one line. Diamonds: softmax at T = ±1 against the logits it was made "
        "from, straight by construction and no evidence of anything. Stars: the mean over draws "
        "of the weight noise against the clean energies. Bands: 10 % to 90 % of tokens. Where "
        "the stars leave their fitted line, noise is not a temperature.",
        "heat_capacity": "C/k = β²Var(E) along the axis of hotness. The band is the spread "
        "between contexts (10 % to 90 %). The oscillator reaches C = k, its two quadratic "
        "degrees of freedom, just before it must stop at β = 0.",
        "effective_states": "Entropy as a share of its maximum: 1 if all states are equally "
        "likely, 0 if one is left. The oscillator has no largest entropy and no such share.",
        "noise": "Temperature fitted to the mean over noise draws, with its error, and what a "
        "temperature cannot explain: disagreement between draws and the residual of the fit.",
    }
