"""Degrees of freedom of networks by Langevin dynamics of their weights, against exact values.

Every line holds a prediction made beforehand and the measurement. Experiment 8 of
docs/brownian_experiments.rst: learning coefficients of singular and regular models at several
temperatures, by energy and by heat capacity; what a prior, a finite step and mini-batches do to
them. Experiment 9: fluctuation and dissipation. Experiment 10: a harmonic crystal beside a
quadratic network; thermometers. Usage:
``python benchmarks/learning_coefficient.py [--json FILE] [--only 9] [--tiny]``. Takes about three
minutes of a core.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from measure import machine
from predictions import Experiment, Line, Rule, print_lines, write_lines

from llm_bridge.langevin import (
    LearningCoefficient,
    LinearModel,
    LinearNetwork,
    QuadraticLoss,
    TemperedPosterior,
    TorchLoss,
    WeightRun,
    hamiltonian,
    harmonic_crystal,
    learning_coefficient,
    sgld,
    underdamped,
)
from llm_bridge.langevin.exact import linear_network, quadratic_basin
from llm_bridge.langevin.finite_temperature import linear_network_thermodynamics
from llm_bridge.langevin.learning_coefficient import extrapolated_to_zero_step
from llm_bridge.langevin.response import TiltedLoss, measured_response, static_response
from llm_bridge.langevin.thermometers import (
    THERMOMETERS,
    configurational_beta,
    kinetic_temperature,
)
from thermo.errors import EquilibrationWarning
from thermo.run.progress_bar import progress_bar

# 70 lines of right predictions have one beyond 4 errors in 1 of 200 benchmarks.
RULE = Rule(errors=4.0, rough=0.05, unit=0.1)
SEED = 20261121
NETWORKS = [(5, 3, 5), (5, 4, 5), (4, 3, 8), (1, 1, 1), (4, 2, 4, 6)]


@dataclass(frozen=True)
class Effort:
    """How long everything runs, and a seed for each run."""

    chains: int = 128
    steps: int = 600
    burn_in: int = 150
    temperatures: tuple[float, ...] = (1e2, 1e3, 1e4)
    seeds: Iterator[int] = field(default_factory=lambda: itertools.count(SEED))

    def __call__(self, share: float = 1.0) -> dict[str, int]:
        """Steps, burn-in, chains and seed of a run, `share` of the usual length."""
        steps = max(40, int(share * self.steps))
        return {
            "steps": steps,
            "burn_in": max(10, int(share * self.burn_in)),
            "chains": self.chains,
            "seed": next(self.seeds),
        }


def estimated(run: WeightRun) -> tuple[LearningCoefficient, bool]:
    """λ of a run, and whether its chains had settled: the verdict says that, not a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EquilibrationWarning)
        found = learning_coefficient(run)
    return found, found.equilibration.verdict[0] != "failed"


def both(
    experiment: int,
    system: str,
    at: str,
    run: WeightRun,
    predicted: Sequence[float],
    *,
    key: bool = False,
) -> list[Line]:
    """Two lines: λ by energy and by heat capacity."""
    found, settled = estimated(run)
    estimates = (found.excess_energy, found.heat_capacity)
    names = (f"nβ(⟨L⟩ − L₀){at}", f"(nβ)² Var L{at}")
    return [
        Line(
            experiment,
            f"{system}: {name}",
            float(exact),
            float(estimate.mean),
            float(estimate.error),
            RULE,
            key=key,
            settled=settled,
        )
        for name, exact, estimate in zip(names, predicted, estimates, strict=True)
    ]


def prior_draws(posterior: TemperedPosterior, chains: int, scale: float = 0.3) -> np.ndarray:
    """Starting points: the prior, narrowed."""
    width = scale / np.sqrt(posterior.localisation)
    kicks = np.random.default_rng(SEED).standard_normal((chains, posterior.loss.dimension))
    return posterior.centre + width * kicks


def of_network(network: LinearNetwork, nbeta: float, effort: Effort) -> WeightRun:
    """Hamiltonian Monte Carlo of a linear network: no error of the step."""
    posterior = TemperedPosterior(network, samples=nbeta, localisation=1.0, centre=network.centre())
    # Curvatures in the steep corners of the prior, in units of nβ, are about 40, and 150 with three
    # layers. A chain that meets one above 4/h² stays where it is.
    step = (0.2 if len(network.widths) == 3 else 0.12) / np.sqrt(nbeta)
    return hamiltonian(
        posterior,
        step=step,
        leapfrogs=max(4, round(0.3 / step)),
        start=None if network.rank else prior_draws(posterior, effort.chains),
        **effort(),
    )


def singular_networks(effort: Effort, curves: dict[str, Any]) -> Iterator[Line]:
    """Experiment 8: λ̂ of linear networks at several temperatures, against exact values."""
    for widths in NETWORKS:
        name = " → ".join(map(str, widths))
        exact = linear_network(widths)
        system = f"{name}, λ = {exact.coefficient}, m = {exact.multiplicity}"
        points = []
        for nbeta in effort.temperatures:
            run = of_network(LinearNetwork(widths), nbeta, effort)
            predicted = linear_network_thermodynamics(widths, nbeta)
            key = widths == (5, 3, 5) and nbeta == max(effort.temperatures)
            lines = both(8, system, f", nβ = {nbeta:g}", run, predicted, key=key)
            yield from lines
            points.append(
                [nbeta, lines[0].measured, lines[0].error, lines[1].measured, lines[1].error]
            )
        grid = np.geomspace(1.0, 1e8, 41)
        energy, heat = linear_network_thermodynamics(widths, grid)
        curves[name] = {
            "coefficient": float(exact.coefficient),
            "points": points,
            "grid": grid.tolist(),
            "energy": energy.tolist(),
            "heat": heat.tolist(),
        }
    widths, rank, nbeta = (5, 3, 9), 1, 10 * max(effort.temperatures)
    exact = linear_network(widths, rank)
    run = of_network(LinearNetwork(widths, rank), nbeta, effort)
    system = f"5 → 3 → 9, teacher of rank 1, λ = {exact.coefficient}"
    limit = [float(exact.coefficient)] * 2
    yield from both(8, system, f", nβ = {nbeta:g}", run, limit, key=True)


def over_grid(loss: Any, posterior: TemperedPosterior, axes: Sequence[np.ndarray]) -> list[float]:
    """nβ⟨L − L(w₀)⟩ and (nβ)² Var L from sums over a grid of weights, evenly spaced or not."""
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    cells = np.stack(np.meshgrid(*map(np.gradient, axes), indexing="ij"), axis=-1)
    values = np.concatenate([loss.value(part) for part in np.array_split(grid, 64)])
    log_p = -posterior.potential(grid, values)
    p = np.exp(log_p - log_p.max()) * cells.prod(axis=-1).ravel()
    p /= p.sum()
    energy = posterior.inverse_temperature * (values - loss.value(posterior.centre[None]))
    mean = float(p @ energy)
    return [mean, float(p @ (energy - mean) ** 2)]


def regular_and_torch(effort: Effort, curves: dict[str, Any]) -> Iterator[Line]:
    """Experiment 8: logistic regression, and a tanh network in torch, against sums over grids."""
    import torch
    from scipy.optimize import minimize

    rng = np.random.default_rng(SEED)
    inputs = rng.normal(size=(300, 3))
    labels = np.where(rng.random(300) < 1 / (1 + np.exp(-inputs @ [1.0, -0.5, 0.25])), 1.0, -1.0)
    model = LinearModel(inputs, labels, loss="logistic")
    best = minimize(
        lambda w: tuple(x[0] for x in model.value_and_gradient(w[None])),
        np.zeros(3),
        jac=True,
        tol=1e-12,
    ).x
    posterior = TemperedPosterior(model, samples=300, centre=best)
    run = hamiltonian(posterior, step=0.09, leapfrogs=4, **effort(2.0))
    axes = [centre + np.linspace(-1.2, 1.2, 33) for centre in best]  # eight standard deviations
    yield from both(
        8,
        "logistic regression, d = 3, n = 300, d/2 = 3/2",
        "",
        run,
        over_grid(model, posterior, axes),
    )

    class Tanh(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = torch.nn.Linear(1, 1, bias=False)
            self.output = torch.nn.Linear(1, 1, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.output(torch.tanh(self.hidden(x)))

    x = torch.linspace(-2.0, 2.0, 16, dtype=torch.float64)[:, None]
    network = TorchLoss(
        Tanh(), lambda z, y: 0.5 * torch.nn.functional.mse_loss(z, y), x, torch.zeros_like(x)
    )
    posterior = TemperedPosterior(network, samples=100.0, localisation=1.0)
    run = hamiltonian(
        posterior,
        step=0.05,
        leapfrogs=12,
        start=prior_draws(posterior, effort.chains),
        **effort(),
    )
    axes = [np.sinh(np.linspace(-8, 8, 241)) / np.sinh(8.0) * 6.5] * 2
    yield from both(
        8,
        "tanh network 1 → 1 → 1 in torch, λ = 1/2, m = 2",
        ", nβ = 100",
        run,
        over_grid(network, posterior, axes),
    )


def prior_sweep(effort: Effort, curves: dict[str, Any]) -> Iterator[Line]:
    """Experiment 8: λ̂ against γ is half of MacKay's effective number of parameters."""
    h = np.geomspace(0.01, 1.0, 20)
    nbeta, points = 1000.0, []
    for gamma in (0.0, 3.0, 30.0, 100.0, 300.0, 1000.0):
        posterior = TemperedPosterior(QuadraticLoss(h), samples=nbeta, localisation=gamma)
        run = underdamped(
            posterior,
            step=1.0 / np.sqrt(nbeta + gamma),
            friction=8.0,
            thin=4,
            **effort(4.0),
        )
        predicted = quadratic_basin(h, nbeta, gamma)
        lines = both(
            8,
            "20 curvatures 0.01 … 1",
            f", γ/nβ = {gamma / nbeta:g}",
            run,
            predicted,
            key=gamma == 100.0,
        )
        yield from lines
        points.append(
            [gamma / nbeta, lines[0].measured, lines[0].error, lines[1].measured, lines[1].error]
        )
    curves["prior"] = {"curvatures": h.tolist(), "points": points}


def step_sweep(effort: Effort, curves: dict[str, Any]) -> Iterator[Line]:
    """Experiment 8: SGLD's steps, its extrapolation to none, and its mini-batches."""
    posterior = TemperedPosterior(QuadraticLoss(np.ones(8)), samples=100.0)
    points = []
    for stiffness in (0.1, 0.25, 0.5, 1.0, 2.0, 3.0):
        step = stiffness / 100.0
        run = sgld(posterior, step=step, **effort(4.0))
        predicted = quadratic_basin(np.ones(8), 100.0, step=step)
        at, key = f", εκ = {stiffness:g}", stiffness == 1.0
        found = both(8, "8 equal curvatures, sgld", at, run, predicted, key=key)[0]
        yield found
        points.append([stiffness, found.measured / 4, found.error / 4])
    curves["step"] = points

    widths, nbeta = (4, 3, 8), 100.0
    equilibrium = of_network(LinearNetwork(widths), nbeta, effort)
    exact = linear_network_thermodynamics(widths, nbeta)
    steps, found = [4e-5, 8e-5], []
    for step in steps:
        run = sgld(
            equilibrium.posterior,
            step=step,
            start=equilibrium.weights,
            thin=20,
            steps=max(400, 25 * effort.steps),
            burn_in=max(40, 3 * effort.steps),
            chains=effort.chains,
            seed=next(effort.seeds),
        )
        found.append(estimated(run))
    value, error = extrapolated_to_zero_step([each.excess_energy for each, _ in found], steps)
    yield Line(
        8,
        "4 → 3 → 8, sgld, ε → 0 from two steps: nβ(⟨L⟩ − L₀), nβ = 100",
        float(exact.excess_energy),
        value,
        error,
        RULE,
        settled=all(settled for _, settled in found),
    )

    rng = np.random.default_rng(SEED)
    inputs = rng.normal(size=(1000, 4))
    model = LinearModel(inputs, inputs @ np.ones(4) + rng.normal(size=1000))
    best, *_ = np.linalg.lstsq(model.inputs, model.targets, rcond=None)
    curvatures, axes = np.linalg.eigh(model.hessian)
    residuals = inputs @ best - model.targets
    variance = np.mean((residuals[:, None] * (inputs @ axes)) ** 2, axis=0)
    for batch, step in ((100, 1e-4), (30, 1e-4)):
        posterior = TemperedPosterior(model, samples=1000.0, centre=best)
        run = sgld(posterior, step=step, batch=batch, **effort(4.0) | {"burn_in": 400})
        predicted = quadratic_basin(
            curvatures, 1000.0, step=step, gradient_variance=variance / batch
        )
        yield both(
            8,
            "linear regression, d = 4, mini-batches",
            f", {batch} of 1000 rows",
            run,
            predicted,
        )[0]


def response(effort: Effort, curves: dict[str, Any]) -> Iterator[Line]:
    """Experiment 9: the answer to a force, foretold by fluctuations, and measured."""
    network = LinearNetwork((2, 2, 2), rank=1)
    direction = np.array([1.0, 0.0, 0.0, 0.5, 0.0, -0.5, 0.0, 1.0])
    observe = {
        "A": lambda state: state.weights @ direction,
        "|w|²": lambda state: np.sum(state.weights**2, axis=-1),
    }

    length = effort(4.0)  # one seed: under opposite forces most of the noise cancels

    def run(force: float) -> WeightRun:
        posterior = TemperedPosterior(
            TiltedLoss(network, direction, force),
            samples=100.0,
            localisation=10.0,
            centre=network.centre(),
        )
        return hamiltonian(posterior, step=0.07, leapfrogs=8, observe=observe, **length)

    free, forward, back = run(0.0), run(0.01), run(-0.01)
    for name in observe:
        foretold = static_response(free, "A", name)
        answer = measured_response(forward, back, name)
        error = float(np.hypot(foretold.error, answer.error))
        yield Line(
            9,
            f"2 → 2 → 2, teacher of rank 1, nβ = 100: d⟨{name}⟩/df, Cov/T_w "
            f"± {float(foretold.error):.1g} predicted",
            float(foretold.mean),
            float(answer.mean),
            error,
            RULE,
            key=True,
        )


def crystal_and_network(effort: Effort, curves: dict[str, Any]) -> Iterator[Line]:
    """Experiment 10: equipartition in a crystal and in a quadratic network, and thermometers."""
    crystal = harmonic_crystal(16)
    rng = np.random.default_rng(SEED)
    inputs = rng.normal(size=(64, 16))
    inputs[:, 15] = inputs[:, 14]  # two weights of which only the sum counts
    network = LinearModel(inputs, inputs @ rng.normal(size=16))
    network.minimum = 0.0
    systems = [
        ("harmonic crystal, 16 atoms, one free motion", crystal, 2.0),
        ("linear regression, 16 weights, one free direction", network, 64.0),
    ]
    for name, loss, nbeta in systems:
        posterior = TemperedPosterior(loss, samples=nbeta)
        curvatures = np.linalg.eigvalsh(loss.hessian)
        step = 1.0 / np.sqrt(nbeta * curvatures.max())
        slowest = np.sqrt(nbeta * curvatures[1])
        run = underdamped(
            posterior,
            step=step,
            friction=2 * slowest,
            thin=4,
            observe=THERMOMETERS,
            **effort(6.0),
        )
        yield from both(10, name, "", run, (7.5, 7.5), key=True)
        lowered = 1.0 - step**2 * nbeta * curvatures.mean() / 4
        for quantity, predicted, (value, error) in (
            ("β, configurational, set to 1", 1.0, configurational_beta(run)),
            ("T, kinetic, set to 1: 1 − h²⟨κ⟩/4", lowered, kinetic_temperature(run)),
        ):
            yield Line(10, f"{name}: {quantity}", predicted, float(value), float(error), RULE)


def signed(effort: Effort, curves: dict[str, Any]) -> Iterator[Line]:
    """Thermometers at β of either sign, where the loss has a ceiling."""
    rng = np.random.default_rng(SEED)
    inputs = rng.normal(size=(40, 2))
    model = LinearModel(inputs, np.where(inputs @ [1.0, 0.5] > 0, 1.0, -1.0), loss="error rate")
    for beta in (1.0, 0.0, -1.0):
        posterior = TemperedPosterior(model, samples=40.0, beta=beta, localisation=1.0)
        run = hamiltonian(posterior, step=0.35, leapfrogs=5, observe=THERMOMETERS, **effort(3.0))
        system = "error rate of a classifier, 0 … 1"
        value, error = map(float, configurational_beta(run))
        yield Line(None, f"{system}: β, configurational", beta, value, error, RULE)


PARTS: list[tuple[int | None, Callable[[Effort, dict[str, Any]], Iterator[Line]]]] = [
    (8, singular_networks),
    (8, regular_and_torch),
    (8, prior_sweep),
    (8, step_sweep),
    (9, response),
    (10, crystal_and_network),
    (None, signed),
]
EXPERIMENTS = {
    8: Experiment(
        "Learning coefficient",
        "Excess energy and heat capacity of weights in a heat bath give f = 2λ; a prior leaves "
        "half of MacKay's number, a step ε of SGLD heats by 1/(1 − εκ/4).",
    ),
    9: Experiment(
        "Fluctuation and dissipation",
        "The answer to a force on A is what fluctuations say without it: d⟨B⟩/df = Cov(A, B)/T_w.",
    ),
    10: Experiment(
        "Crystal and network",
        "A harmonic crystal and a quadratic network of 15 degrees of freedom both have "
        "energy/kT = heat capacity = f/2.",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--tiny", action="store_true", help="a small setting, to try it out")
    parser.add_argument("--only", nargs="+", type=int, choices=EXPERIMENTS, help="by number")
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    effort = Effort(16, 40, 10, (30.0,)) if options.tiny else Effort()
    curves: dict[str, Any] = {}
    lines: list[Line] = []
    with progress_bar(True, None, unit="line", what="predictions") as bar:
        for k, (number, part) in enumerate(PARTS):
            if options.only and number not in options.only:
                continue
            # Seeds of its own, so that a part alone has the numbers that it has among the others.
            own = replace(effort, seeds=itertools.count(SEED + 1000 * k))
            for found in part(own, curves):
                lines.append(found)
                bar.update()
    kept = sum(line.verdict == "confirmed" for line in lines)
    title = f"{len(lines)} predictions, of which {kept} came true"
    print_lines(title, lines)
    write_lines(
        options.json,
        title,
        f"{effort.chains} chains, {effort.steps} Hamiltonian trajectories each unless another "
        "sampler is named. Errors are corrected for autocorrelation; a prediction is confirmed "
        f"within {RULE.errors:g} of them, and too rough where the error is more than "
        f"{RULE.rough:.0%} of it. Predictions of linear networks are exact at their temperature; "
        "that of the teacher of rank 1 is the limit λ.",
        lines,
        EXPERIMENTS,
        "learning_coefficient",
        machine("torch"),
        curves=curves,
    )


if __name__ == "__main__":
    main()
