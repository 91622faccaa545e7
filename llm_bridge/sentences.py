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
    error = tokens * float(curve.entropy.error[native])
    low, high = curve.spread["entropy"][:, native]
    at = int(np.argmin(np.abs(curve.b + 10.0)))
    hottest = float(np.exp(curve.entropy.value[at]))
    hottest_error = hottest * float(curve.entropy.error[at])
    reached = f"{curve.b[at]:.1f}".replace("-", "−")
    agreement = ising.details["agreement"]
    found = [
        "A two-level paramagnet, exactly: its entropy rises with energy until both levels are "
        "equally full (β = 0) and then falls. On the falling side the upper level is the fuller "
        "one: population inversion, β < 0, T < 0. The way there leads through T = ±∞, one "
        "point where nothing jumps, and not through T = 0.",
        f"An Ising lattice of {comparison.settings['lattice_size']}² spins, sampled by Monte Carlo "
        f"at {agreement['points']} finite inverse temperatures of both signs and at β = ±∞. From "
        "the exact energy of this finite lattice the samples deviate by at most "
        f"{agreement['worst_z_energy']:.1f} standard errors (chance alone stays below "
        f"{agreement['bound_z']:.2f} in 999 of 1000 runs). Its heat capacity has two peaks, one on "
        "either side of β = 0. In the infinite lattice they are phase transitions at "
        "kT = ±2.269 J: ferromagnetic order between T = +0 and +2.269 J/k, antiferromagnetic order "
        "between T = −2.269 J/k and −0, with the same Hamiltonian.",
        f"An oscillator with the same gap as the paramagnet: {oscillator.curve.ends}",
        f"The logits of a language model at {model.details['positions']} positions of text, "
        f"{model.details['vocabulary']} at each, taken as energies E = −logit. The natural scale "
        f"is σ₀ = {curve.scale:.3g} nats, so the model's own T = 1 lies at "
        f"βσ₀ = {curve.scale:.3g}, with {rounded_to_error(tokens, error)} effective tokens "
        f"(exp of the mean entropy; between contexts the entropy varies, from {low:.2f} to "
        f"{high:.2f} nats if the lowest and the highest tenth are left out). At β < 0 the least "
        f"likely tokens take over: effectively {rounded_to_error(hottest, hottest_error)} of them "
        f"at βσ₀ = {reached}."
        f"{_never_met(model)}",
    ]
    if comparison.noise:
        row = comparison.noise[-1]
        fit = row.effective
        found.append(
            f"The same model with Gaussian noise of {row.sigma:g} of each tensor's rms on its "
            "weights: the softmax closest to the mean distribution has "
            f"T = {rounded_to_error(fit.temperature, fit.temperature_error)}. What no temperature "
            f"explains is {rounded_to_error(fit.residual_kl, fit.residual_kl_error)} nats per "
            "position; single draws disagree by "
            f"{rounded_to_error(fit.disagreement, fit.disagreement_error)} nats, and in a single "
            f"draw the most likely token changes at {100 * fit.top1_flips:.0f} % of positions. "
            "For softmax at any T > 0 all three are zero."
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
        f" The tokenizer has {count} tokens that training never showed; it pushed them down all "
        "alike, so they form a crowd of nearly equal energy."
    )


def _carries_over(comparison: Comparison) -> tuple[tuple[str, str], ...]:
    curve = comparison.model_system.curve
    scale = curve.scale
    native = int(np.argmin(np.abs(curve.beta - 1.0)))
    drop = curve.log_states - float(curve.entropy.value[native])
    parabola = float(curve.energy.value[native]) ** 2 / 2
    return (
        (
            "Levels, populations, β.",
            "Softmax of logits divided by T is the Boltzmann distribution of the energies "
            "E = −logit, exactly; β = 1/T. Every formula for S, U and C then holds for "
            "spins and tokens, because it needs only the energies and how many states have each.",
        ),
        (
            "The arch and its slope.",
            "Lattice and logits both have a highest and a lowest energy, so S(U) rises and falls, "
            "and its slope is β: positive, zero, negative. T = +∞ and T = −∞ are one point, the "
            "top.",
        ),
        (
            "One parabola near the top.",
            "In units of σ₀ every bounded system is S = S₀ − u²/2 near β = 0, spins and tokens "
            f"alike. They differ in how they leave it: at the model's T = 1 (βσ₀ = {scale:.2g}) "
            f"S is {drop:.2g} nats below S₀, while u²/2 = {parabola:.2g}.",
        ),
        (
            "Negative temperature.",
            "For states of finite number the distribution exists at every β < 0: neighbouring "
            "spins prefer to be opposite, the model prefers the tokens it finds least likely. "
            "(Real spins must also be kept apart from everything without an upper bound.) The "
            "limits β → ±∞ are the ground state and the top state: greedy decoding (argmax) and "
            "argmin.",
        ),
        (
            "Heat capacity is a variance.",
            "C/k = β²Var(E). At β = 1 it is the varentropy of the model's prediction.",
        ),
    )


def _does_not(comparison: Comparison) -> tuple[tuple[str, str], ...]:
    curve = comparison.model_system.curve
    cold, hot = (
        float(np.exp(curve.entropy.value[np.argmin(np.abs(curve.b - b))])) for b in (1.0, -1.0)
    )
    return (
        (
            "No dynamics, no bath, no equilibrium.",
            "Spins in contact exchange energy until they share one β; heat flows from small to "
            "large β. Tokens do not: T is imposed by dividing logits, position by position, and "
            "nothing relaxes. There is no heat flow and no zeroth law between tokens.",
        ),
        (
            "No phase transition in one position.",
            "The lattice's heat-capacity peaks, per spin, grow with its size without end (as ln "
            "L), because spins interact. One position has as many levels as the vocabulary has "
            "tokens, and no size that could grow: its C has smooth maxima of finite height, "
            "Schottky anomalies.",
        ),
        (
            "A gauge instead of a zero of energy.",
            "Adding a constant to all logits of a position changes nothing. U and F of two "
            "models, or of two positions, cannot be compared; S, C and differences of U at one "
            "position can.",
        ),
        (
            "T = 1 is special for a model only.",
            "Training by likelihood makes T = 1 fit the training text. No temperature is special "
            "to a spin lattice in this sense; its critical ones come from its own energies.",
        ),
        (
            "Temperature per token is not temperature of text.",
            "Tempering each next-token distribution and multiplying them is not tempering the "
            "distribution of whole texts.",
        ),
        (
            "No built-in symmetry between hot and cold.",
            "The lattice is its own mirror image at −β (two sublattices, no field). Nothing "
            f"makes logits so: here exp(S) is {cold:.0f} at βσ₀ = +1 and {hot:.0f} at βσ₀ = −1.",
        ),
        (
            "Weight noise is not a temperature.",
            "It mixes many distributions. The mean has a best-fitting T, but in general also a "
            "residual, disagreement between draws, and changed ranks. A temperature above 0 has "
            "none of them.",
        ),
        (
            "Degrees of freedom do not carry over by name.",
            "Kinetic and equipartition counts need momenta and quadratic energies. Effective "
            "states and participation ratio exist on both sides; 2C/k exists but counts nothing "
            "on either.",
        ),
    )


def _captions() -> dict[str, str]:
    return {
        "arch": "Entropy against energy, both measured from the state at β = 0, per unit. The "
        "slope of the curve is βσ₀; the short thick lines are tangents. Colour is β everywhere: "
        "blue cold, grey β = 0, red hot. The oscillator is drawn from the paramagnet's ground "
        "state with the same gap: the two start together, and only one of them has a ceiling. "
        "Points of the Ising lattice are sampled (error bars are mostly smaller than the "
        "symbols), its line is exact. Inset: the whole arch of the language model; stars, if "
        "there are any, are mean distributions under weight noise, each below the arch by its "
        "residual.",
        "spins": "How likely a state is against its energy, on a logarithmic scale. Lines fall at "
        "T > 0, are level at β = 0 and rise at T < 0 (population inversion); the slope is −βσ₀. "
        "Circles: the two levels of the paramagnet. Squares: how often an energy of the Ising "
        "lattice was sampled, divided by the exact number of states that have it, with the β "
        "fitted to them. Triangles: the lowest levels of the oscillator, which has lines for β > "
        "0 only.",
        "tokens": "The same plot for tokens; each context's own ln Z is added, so that all "
        "contexts share one line. Diamonds: softmax at T = ±1 against the logits it was made "
        "from, straight by construction and no evidence of anything. Stars, if there are any: the "
        "mean over draws of the weight noise against the clean energies. Bands: 10 % to 90 % of "
        "tokens. Where stars and bands leave their fitted line, noise is not a temperature.",
        "heat_capacity": "C/k = β²Var(E) along the axis of hotness. The band is the spread "
        "between contexts of the language model (10 % to 90 %). Stars, if there are any: its mean "
        "distributions under weight noise, at the β fitted to them. The oscillator comes to C = k, "
        "its two quadratic degrees of freedom, as β falls to 0, where it must stop.",
        "effective_states": "Entropy as a share of its maximum: 1 if all states are equally "
        "likely, 0 if one is left. Band and stars as before. The oscillator has no largest "
        "entropy and no such share.",
        "noise": "Temperature fitted to the mean over noise draws, with its error, and what a "
        "temperature cannot explain: disagreement between draws and the residual of the fit.",
    }
