"""Quantum gases in a band against sums over all occupations, and the numbers of the experiment."""

from __future__ import annotations

import json
import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ive
from typer.testing import CliRunner

from thermo import EnergyLevels, canonical
from thermo.cli.lab import lab
from thermo.errors import InvalidInputError, UnboundedSpectrumError
from thermo.laboratory import band
from thermo.laboratory.band import band_levels
from thermo.laboratory.lattice_gas import LatticeGas

INF = math.inf
LEVELS = EnergyLevels([-1.0, 0.0, 0.5, 1.0], np.log([1, 3, 2, 1]))
STATES = np.array([1.0, 3.0, 2.0, 1.0])
EVERYWHERE = [INF, 1e300, 1e5, 50.0, 3.0, 1e-3, 0.0, -1e-3, -3.0, -1e5, -1e300, -INF]
FILLINGS = [
    ("fermions", 0.3),
    ("fermions", 1.0),
    ("fermions", 2.5),
    ("fermions", 6.0),
    ("fermions", 7.0),
    ("bosons", 0.3),
    ("bosons", 7.0),
    ("bosons", 1e9),
]


def grand_canonical(beta: float, alpha: float, most: int) -> tuple[float, ...]:
    """⟨N⟩, U, S and ln Ξ by summing over every set of occupations of every state, 0 … most."""
    energies = np.repeat(LEVELS.energies, STATES.astype(int))[[0, 1, 4, 6]]  # four states do
    table = np.array(list(product(range(most + 1), repeat=4)))
    number, energy = table.sum(axis=1), table @ energies
    log_weight = alpha * number - beta * energy
    log_xi = float(np.logaddexp.reduce(log_weight))
    p = np.exp(log_weight - log_xi)
    return float(p @ number), float(p @ energy), float(p @ (log_xi - log_weight)), log_xi


@pytest.mark.parametrize("beta", [-2.0, -0.3, 0.0, 0.3, 2.0])
@pytest.mark.parametrize(("statistics", "most"), [("fermions", 1), ("bosons", 40)])
def test_the_gas_is_the_sum_over_all_occupations(statistics: str, most: int, beta: float) -> None:
    alpha = -abs(beta) - 1.0
    number, energy, entropy, log_xi = grand_canonical(beta, alpha, most)
    gas = LatticeGas(EnergyLevels([-1.0, 0.0, 0.5, 1.0]), number, statistics).at(beta)
    assert float(gas.log_fugacity) == pytest.approx(alpha, rel=1e-10)
    assert float(gas.energy) == pytest.approx(energy, abs=1e-10)
    assert float(gas.entropy) == pytest.approx(entropy, rel=1e-10)
    assert float(gas.beta_pressure_volume) == pytest.approx(log_xi, rel=1e-10)
    # The other statistics does not: the test can fail.
    other = {"fermions": "bosons", "bosons": "fermions"}[statistics]
    wrong = LatticeGas(EnergyLevels([-1.0, 0.0, 0.5, 1.0]), number, other).at(beta)
    assert abs(float(wrong.entropy) - entropy) > 1e-3


@pytest.mark.parametrize(("statistics", "particles"), FILLINGS)
def test_the_number_of_particles_is_kept_at_every_beta(statistics: str, particles: float) -> None:
    gas = LatticeGas(LEVELS, particles, statistics).at(EVERYWHERE)
    assert gas.occupation @ STATES == pytest.approx(particles, rel=1e-9)
    assert np.all(gas.occupation >= 0.0)
    if statistics == "fermions":
        assert np.all(gas.occupation <= 1.0)
    for value in (gas.energy, gas.entropy, gas.heat_capacity):
        assert np.all(np.isfinite(value))
    assert np.all(np.diff(gas.energy) >= -1e-9 * particles)  # the list goes from cold to hot
    assert np.all(gas.heat_capacity >= 0.0)
    assert np.all(gas.beta_pressure_volume >= 0.0)


@given(
    st.floats(-20.0, 20.0),
    st.floats(0.01, 6.99),
    st.sampled_from(["fermions", "bosons"]),
)
def test_the_gas_does_not_know_which_end_is_up(
    beta: float, particles: float, statistics: str
) -> None:
    """Turning the energies over is the same as changing the sign of β."""
    gas = LatticeGas(LEVELS, particles, statistics).at(beta)
    turned = EnergyLevels(-LEVELS.energies, LEVELS.log_degeneracy)
    other = LatticeGas(turned, particles, statistics).at(-beta)
    assert other.occupation == pytest.approx(gas.occupation, rel=1e-9, abs=1e-12)
    assert float(other.entropy) == pytest.approx(float(gas.entropy), rel=1e-9, abs=1e-12)
    assert float(other.energy) == pytest.approx(-float(gas.energy), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("statistics", "particles"), [("fermions", 0.5), ("bosons", 3.0)])
def test_the_identities_of_thermodynamics(statistics: str, particles: float) -> None:
    beta = np.array([-2.0, -0.7, 0.4, 1.5])
    gas, step = LatticeGas(LEVELS, particles, statistics), 1e-4
    up, at, down = gas.at(beta + step), gas.at(beta), gas.at(beta - step)
    slope = (up.energy - down.energy) / (2.0 * step)
    assert at.heat_capacity == pytest.approx(-(beta**2) * slope, rel=1e-5)
    assert (up.entropy - down.entropy) / (2.0 * step) == pytest.approx(beta * slope, rel=1e-5)
    # S = βU − αN + ln Ξ, with α solved for
    assert at.entropy == pytest.approx(
        beta * at.energy - at.log_fugacity * particles + at.beta_pressure_volume, rel=1e-9
    )


@pytest.mark.parametrize("statistics", ["fermions", "bosons"])
def test_a_thin_gas_is_boltzmann_s(statistics: str) -> None:
    levels, beta = band_levels(32), np.array([-1.0, 0.0, 0.4, 1.0])
    thin = LatticeGas(levels, 1e-7, statistics).at(beta)
    assert thin.energy / 1e-7 == pytest.approx(canonical(levels, beta).internal_energy, rel=1e-6)
    # and on a large lattice that of Bessel functions: −2J I₁(2βJ)/I₀(2βJ) for each direction
    exact = -4.0 * ive(1, 2.0 * beta) / ive(0, 2.0 * beta)
    assert thin.energy / 1e-7 == pytest.approx(exact, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("size", "hopping"), [(4, 1.0), (10, 0.3), (32, 2.0)])
def test_the_band_reaches_from_minus_four_j_to_four_j(size: int, hopping: float) -> None:
    levels = band_levels(size, hopping)
    assert levels.minimum == pytest.approx(-4.0 * hopping, rel=1e-12)
    assert levels.maximum == pytest.approx(4.0 * hopping, rel=1e-12)
    assert np.exp(levels.log_degeneracy).sum() == pytest.approx(size**2)
    assert levels.energies == pytest.approx(-levels.energies[::-1], abs=1e-9)
    variance = canonical(levels, 0.0).populations().probabilities @ levels.energies**2
    assert variance == pytest.approx(4.0 * hopping**2)  # σ₀ = 2J


def test_bosons_gather_in_the_middle_when_cold_and_in_the_corners_when_hot() -> None:
    found = band(size=12, bosons=0.7, beta=1.5)
    cold, flat, hot = found.momentum_distribution[1]
    assert np.unravel_index(cold.argmax(), cold.shape) == (6, 6)
    assert found.momentum[6] == 0.0
    assert np.unravel_index(hot.argmax(), hot.shape) == (0, 0)
    assert found.momentum[0] == -math.pi
    assert flat == pytest.approx(0.7)
    assert hot == pytest.approx(np.roll(cold, (6, 6), (0, 1)), rel=1e-9)
    for n, per_site in zip(found.momentum_distribution, (0.5, 0.7), strict=True):
        assert n.mean(axis=(1, 2)) == pytest.approx(per_site)
    k = found.momentum
    energy = -2.0 * (np.cos(k)[:, None] + np.cos(k)[None, :])
    assert np.sum(cold * energy) / 144 == pytest.approx(
        found.energy[1, np.searchsorted(found.beta, 1.5)]
    )


@pytest.mark.parametrize("hopping", [0.5, 1.0])
def test_every_finding_is_what_theory_says(hopping: float) -> None:
    found = band(size=10, fermions=0.3, bosons=2.0, beta=0.8, hopping=hopping)
    for finding in found.findings:
        if finding.expected is not None:
            assert finding.value == pytest.approx(finding.expected, abs=1e-9), finding.what
    pressures = [f.value for f in found.findings if "pressure" in f.what]
    assert len(pressures) == 2
    assert max(pressures) < 0.0
    middle = found.beta == 0.0
    assert found.heat_capacity[:, middle] == pytest.approx(0.0)
    assert np.all(found.entropy <= found.entropy[:, middle] + 1e-12)


@pytest.mark.parametrize("size", [4, 40])
@pytest.mark.parametrize(
    "extreme",
    [
        {"fermions": 0.999999999999},
        {"fermions": 1.0 - 1e-15},
        {"fermions": 1e-300, "bosons": 1e-300},
        {"bosons": 1e12},
        {"bosons": 1e-14},
        {"beta": 1e-9},
        {"beta": 1e9},
    ],
)
def test_the_findings_stand_at_the_ends_of_what_is_accepted(
    extreme: dict[str, float], size: int
) -> None:
    """One part in a thousand, if the holes are: 1 − 1e−15 of 1600 is a number to 15 % only."""
    found = band(size=size, **extreme)
    rel = 0.2 if extreme.get("fermions") == 1.0 - 1e-15 else 1e-3
    for finding in found.findings:
        if finding.expected is not None:
            assert finding.value == pytest.approx(finding.expected, rel=rel, abs=0.0) or (
                finding.expected == 0.0 and abs(finding.value) < 1e-12
            ), finding.what
        elif "pressure" in finding.what:
            assert -math.inf < finding.value < 0.0


def test_half_a_band_of_fermions_needs_no_chemical_potential() -> None:
    found = band(size=8, beta=2.0)
    assert found.log_fugacity[0] == pytest.approx(0.0, abs=1e-9)
    holes = 1.0 - found.occupation[0, :, ::-1]
    assert found.occupation[0] == pytest.approx(holes, abs=1e-9)


def test_it_is_json() -> None:
    result = CliRunner().invoke(lab, ["band", "--size", "6", "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["schema"] == "spinlogit.lab.band/1"
    assert len(document["momentum_distribution"][1][2]) == 6
    again = json.dumps(band(size=6).to_dict(), allow_nan=False)
    assert json.loads(again) == document


@pytest.mark.parametrize(
    ("wrong", "accepted"),
    [
        ({"size": 5}, "an even one"),
        ({"size": 2}, "an integer 4 … 256"),
        ({"size": 4.5}, "an integer 4 … 256"),
        ({"fermions": 1.0}, "less than 1 per site"),
        ({"fermions": 0.0}, "a positive finite number"),
        ({"bosons": -1.0}, "a positive finite number"),
        ({"beta": 0.0}, "of at least 1e-09, for below that all momenta are alike"),
        ({"beta": 1e-300}, "of at least 1e-09"),
        ({"beta": -1.0, "hopping": 1e-10}, "of at least 1e-09"),
        ({"beta": INF}, "a finite number"),
        ({"beta": math.nan}, "a finite number"),
        ({"hopping": 0.0}, "a positive finite number"),
    ],
)
def test_bad_input(wrong: dict[str, Any], accepted: str) -> None:
    with pytest.raises(InvalidInputError, match=accepted):
        band(**wrong)


def test_bad_gases() -> None:
    with pytest.raises(InvalidInputError, match="at most 7 fermions"):
        LatticeGas(LEVELS, 7.1, "fermions")
    with pytest.raises(InvalidInputError, match="accepted: 'fermions', 'bosons'"):
        LatticeGas(LEVELS, 1.0, "anyons")
    with pytest.raises(UnboundedSpectrumError, match="no upper bound"):
        LatticeGas(EnergyLevels([0.0, 1.0], bounded_above=False), 1.0, "bosons")
    with pytest.raises(InvalidInputError, match="nan"):
        LatticeGas(LEVELS, 1.0, "bosons").at(math.nan)


def test_bad_input_at_the_command_line() -> None:
    result = CliRunner().invoke(lab, ["band", "--fermions", "2"])
    assert isinstance(result.exception, InvalidInputError)


def test_the_picture_shows_every_panel() -> None:
    from thermo.plots.laboratory.band import band_picture

    figure = band_picture(band(size=6))
    assert len(figure.axes) == 6
    text = " ".join(ax.get_title(loc="left") for ax in figure.axes)
    assert "T > 0" in text
    assert "T < 0" in text
