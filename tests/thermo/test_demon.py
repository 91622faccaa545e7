"""The bounded demon against exact numbers of states, and as a thermometer of either sign.

Seeds were chosen beforehand; no test makes more than 100 χ², each held to P_LIMIT.
"""

from __future__ import annotations

import numpy as np
import pytest
from goodness_of_fit import P_LIMIT, counts_p, level_counts, scatter_p

from thermo.errors import EnergyOutOfRangeError, InvalidInputError, UncertaintyWarning
from thermo.estimate.purse import read_purse
from thermo.exact.density_of_states import ising_torus
from thermo.kernels.discrete_demon import approach, exchange_energy
from thermo.lattice import chain, honeycomb, square, triangular
from thermo.microcanonical import microcanonical
from thermo.models import XY, Clock, Ising, Potts, spin_glass
from thermo.run.demon import bending, demon_thermometer
from thermo.sampling import demon
from thermo.sampling.demon import DemonChains
from thermo.sampling.energy_grid import energy_spacing

SEED = 20261121
REAL = np.random.default_rng(SEED).normal(size=18)
CASES = {
    "Ising": Ising(square(4)),
    "Ising, frustrated at one end": Ising(triangular(3), 0.1),
    "Potts": Potts(square(3), 3),
    "clock in a field": Clock(chain(7), 4, 0.1, 0.05),
    "Ising glass": Ising(square(3), REAL),
    "chiral clock, real couplings": Clock(chain(7), 3, REAL[:7], chirality=0.3),
}


def chains_at(model, energy: float, replicas: int = 600, **options) -> DemonChains:
    seed = np.random.SeedSequence(SEED)
    return DemonChains(model, energy, replicas, seed=seed, **options)


def total_energies(model) -> tuple[float, ...]:
    """Totals at three places of the spectrum."""
    low, high = model.levels().minimum, model.levels().maximum
    return tuple(low + part * (high - low) for part in (0.3, 0.6, 0.9))


def demon_p(chains: DemonChains, draws: int = 12) -> float:
    """p-value of demon energies 15 sweeps apart against p(E_d) ∝ g(E_total − E_d)."""
    levels = chains.model.levels()
    total = (chains.energy + chains.demon_energy)[0]
    purse = total - levels.energies
    within = (purse > -1e-9) & (purse < chains.demon_maximum + 1e-9)
    energies, weight = levels.energies[within], np.exp(levels.log_degeneracy[within])
    seen = np.zeros(within.sum())
    chains.sweep(60)
    for _ in range(draws):
        chains.sweep(15)
        seen += level_counts(total - chains.demon_energy, energies)
    return counts_p(seen, weight)


@pytest.mark.parametrize("model", CASES.values(), ids=CASES.keys())
def test_the_demon_is_as_rich_as_the_number_of_states_says(model) -> None:
    for energy in total_energies(model):
        assert demon_p(chains_at(model, energy)) > P_LIMIT, energy


def test_refused_moves_that_are_not_counted_fail_the_same_test() -> None:
    """Looking only right after accepted moves prefers purses from which much can be paid."""
    model = CASES["Ising"]
    chains = chains_at(model, total_energies(model)[0])

    class AfterMoves:
        model, demon_maximum = chains.model, chains.demon_maximum
        energy, demon_energy = chains.energy, chains.demon_energy

        def sweep(self, sweeps: int) -> None:
            """Go on until every replica's demon has got or paid something, and look then."""
            chains.sweep(1)
            waiting = np.ones(len(chains.spins), dtype=bool)
            moments = np.empty((len(waiting), 3))
            while waiting.any():
                last = chains.demon_energy
                exchange_energy(
                    chains._states,
                    chains._purses,
                    chains._streams,
                    chains._maximum,
                    1,
                    chains._system,
                    moments,
                )
                moved = waiting & (chains.demon_energy != last)
                self.demon_energy[moved] = chains.demon_energy[moved]
                waiting &= ~moved

    assert demon_p(AfterMoves(), draws=40) < P_LIMIT  # type: ignore[arg-type]


@pytest.mark.parametrize("model", CASES.values(), ids=CASES.keys())
def test_energy_is_conserved_to_the_last_quantum(model) -> None:
    for energy in total_energies(model):
        chains = chains_at(model, energy, 20)
        before = chains.energy + chains.demon_energy
        np.testing.assert_allclose(before, before[0], rtol=1e-9)
        chains.sweep(2000)
        np.testing.assert_allclose(chains.energy + chains.demon_energy, before, rtol=1e-9)
        assert np.all((chains.demon_energy >= 0) & (chains.demon_energy <= chains.demon_maximum))
        if chains.spacing:
            whole = chains.demon_energy / chains.spacing
            np.testing.assert_allclose(whole, whole.round(), atol=1e-9)


def test_a_dropped_bond_fails_the_same_conservation_test() -> None:
    model = CASES["Ising"]
    chains = chains_at(Ising(model.lattice, np.r_[0.0, np.ones(31)]), 0.0, 20)
    chains.model = model
    before = chains.energy + chains.demon_energy
    chains.sweep(2000)
    assert not np.allclose(chains.energy + chains.demon_energy, before)


def test_at_beta_zero_the_demon_has_half_of_its_maximum() -> None:
    """g(E) = g(−E) and a total of E_max/2 make p(E_d) even about E_max/2; |z| < 5: 6·10⁻⁷."""
    reading = demon_thermometer(
        Ising(square(8)), 8.0, 2000, burn_in=100, demon_maximum=16.0, seed=SEED
    )
    assert abs(reading.demon_energy.mean - 8.0) < 5 * reading.demon_energy.error
    assert abs(reading.beta) < 5 * reading.error


def purse_distribution(size: int, total: float) -> tuple[np.ndarray, np.ndarray]:
    """E_d and its exact probabilities on an Ising torus, in the default purse of 16."""
    levels, energies = ising_torus(size), np.arange(5) * 4.0
    log_g = dict(zip(levels.energies.tolist(), levels.log_degeneracy.tolist(), strict=True))
    p = np.exp([log_g.get(total - e, -np.inf) - levels.log_states for e in energies])
    return energies, p / p.sum()


def exact_reading(size: int, total: float, independent: float = 1e9):
    """The reading of demons that have seen all there is, with so many independent draws."""
    energies, p = purse_distribution(size, total)
    full = energies / 16.0
    moments = p @ full[:, None] ** [1, 2, 3]
    # Two chains beside the truth by an error of the mean on either side, along P₁ alone.
    slope = p @ ((full - p @ full)[:, None] * (full[:, None] ** [1, 2, 3] - moments))
    step = slope / np.sqrt(slope[0] * independent)
    return read_purse(np.stack([moments - step, moments + step])[:, None], 16.0, 4.0)


def exact_slope(size: int, energy: float) -> float:
    """β = dS/dE at an energy, interpolated between those that the torus has."""
    known = microcanonical(ising_torus(size))
    return float(np.interp(energy, known.energy, known.beta_boltzmann))


@pytest.mark.parametrize(
    ("size", "most", "limit"), [(8, 1.0, 1.1e-3), (16, 1.5, 7e-5), (32, 1.5, 5e-6)]
)
def test_a_reading_is_the_slope_of_the_entropy_up_to_the_square_of_the_size(
    size: int, most: float, limit: float
) -> None:
    """Without any noise. At the mean energy of the lattice it is not: that is off by 1/n."""
    for e in (-most, -1.0, -0.5, -0.02, 0.0, 0.5, 1.0, most):
        total = 4.0 * round(e * size**2 / 4.0)
        reading = exact_reading(size, total)
        assert abs(reading.beta - exact_slope(size, total - float(reading.depth.mean))) < limit
        if abs(e) == 0.5:
            energies, p = purse_distribution(size, total)
            assert abs(reading.beta - exact_slope(size, total - p @ energies)) > 15 * limit


@pytest.mark.parametrize(("size", "most"), [(8, 1.0), (16, 1.5), (32, 1.5)])
def test_what_is_left_of_the_bending_is_within_its_bound(size: int, most: float) -> None:
    """At every eighth energy; and somewhere it is half of it, or it would be needlessly wide."""
    bound, off = bending(Ising(square(size)), 16.0), []
    for total in np.arange(-most * size**2, most * size**2 + 16.0, 32.0):
        reading = exact_reading(size, total)
        off.append(abs(reading.beta - exact_slope(size, total - float(reading.depth.mean))))
    assert 0.5 * bound < max(off) < bound


def test_a_long_reading_of_a_small_lattice_has_an_honest_error() -> None:
    """It is 4.7 of the errors that are sampled off, and half of the bound: 10⁻⁴ on either side."""
    model = Ising(square(8))
    reading = demon_thermometer(model, 0.0, 20_000, burn_in=100, seed=SEED)
    off = abs(reading.beta - exact_slope(8, float(reading.energy.mean)))
    sampled = np.sqrt(reading.error**2 - bending(model, 16.0) ** 2)
    assert sampled < off < reading.error


def test_uneven_levels_at_an_end_of_the_spectrum_are_seen() -> None:
    """−2040 has 2048 states, −2044 none, −2048 two: that is no slope, and the error says so."""
    for above in (8, 12, 16, 20, 28, 52):
        for sign in (1, -1):
            total = sign * (above - 2048.0) + (16.0 if sign < 0 else 0.0)
            reading = exact_reading(32, total, independent=1e5)
            true = exact_slope(32, total - float(reading.depth.mean))
            assert reading.unevenness > 0.02
            assert abs(reading.beta - true) < 6 * reading.error


def test_a_level_that_was_never_reached_is_not_taken_for_uneven() -> None:
    """A demon so poor that none of its visits was to the third level or the fourth."""
    p = np.exp(-9.0 * np.arange(5))
    p[3:] = 0.0
    full = np.linspace(0.0, 1.0, 5)
    draws = np.random.default_rng(SEED).choice(full, (8, 50_000), p=p / p.sum())
    blocks = draws.reshape(8, 50, 1000, 1) ** [1, 2, 3]
    assert np.count_nonzero(draws == full[2]) == 0
    assert read_purse(blocks.mean(axis=2), 16.0, 4.0).unevenness == 0.0


def test_the_32x32_torus_has_its_microcanonical_beta_at_both_signs() -> None:
    """⟨E_d⟩ and β against exact g(E), |z| < 5 for each of six energies: 10⁻⁵."""
    for e in (-1.5, -1.0, -0.5, 0.5, 1.0, 1.5):
        total = 1024.0 * e
        reading = demon_thermometer(
            Ising(square(32)), total, 1500, burn_in=200, replicas=8, seed=SEED
        )
        energies, p = purse_distribution(32, total)
        mean = p @ energies
        assert abs(reading.demon_energy.mean - mean) < 5 * reading.demon_energy.error
        exact = exact_reading(32, total)
        assert reading.beta * e < 0
        assert abs(reading.beta - exact.beta) < 5 * reading.error
        assert abs(reading.beta - exact_slope(32, reading.energy.mean)) < 5 * reading.error
        z = (reading.energy.mean - (total - exact.depth.mean)) / reading.energy.error
        assert abs(z) < 5
        assert reading.error < 0.001


def test_near_the_ends_of_the_spectrum_a_warning_is_given() -> None:
    model = Ising(square(32))
    with pytest.warns(UncertaintyWarning, match="are uneven beside a purse of 16: β is"):
        reading = demon_thermometer(model, -2040.0, 200, burn_in=20, seed=SEED)
    assert reading.error > 0.5 * abs(reading.beta)
    for total in (-2020.0, 2036.0):  # too few sweeps to see it
        with pytest.warns(UncertaintyWarning, match="less than two purses of 16 from an end of"):
            demon_thermometer(model, total, 2, burn_in=20, replicas=2, seed=SEED)


@pytest.mark.parametrize(
    ("total", "beta"), [(-2048.0, np.inf), (2064.0, -np.inf), (-2044.0, np.nan), (2060.0, np.nan)]
)
def test_a_purse_that_never_changes_tells_no_beta(total: float, beta: float) -> None:
    with pytest.warns(UncertaintyWarning, match="the demon's purse never changed"):
        reading = demon_thermometer(Ising(square(32)), total, 20, burn_in=2, seed=SEED)
    np.testing.assert_equal(reading.beta, beta)
    assert reading.error == np.inf


def test_errors_are_honest() -> None:
    """Σz² of 60 short readings against χ² of 60, on two sides: 10⁻⁵.

    1600 draws with τ near 1 know their error to 6 per cent, which adds 1 per cent to Σz².
    """
    model = Ising(square(6))
    levels = ising_torus(6)
    purse = np.arange(5) * 4.0
    log_g = np.interp(-12.0 - purse, levels.energies, levels.log_degeneracy)
    p = np.exp(log_g - log_g.max())
    exact_mean = p @ purse / p.sum()
    readings = [
        demon_thermometer(model, -12.0, 400, burn_in=100, replicas=4, seed=seed).demon_energy
        for seed in range(60)
    ]
    z = [float((reading.mean - exact_mean) / reading.error) for reading in readings]
    assert scatter_p(z) > 1e-5


def test_a_lattice_without_spacing_reads_the_same_beta() -> None:
    """±J with an irrational addition: the purse is a continuum.

    It is so small that energies still come in heaps 4 apart, which the demon notices. 0.03 is
    allowed for the difference of the models.
    """
    lattice = square(12)
    couplings = 1.0 + 0.05 * np.random.default_rng(SEED).normal(size=lattice.n_edges)
    model = Ising(lattice, couplings)
    assert chains_at(model, -100.0, 2).spacing is None
    with pytest.warns(UncertaintyWarning, match="uneven beside a purse of 17"):
        reading = demon_thermometer(model, -100.0, 1500, burn_in=200, seed=SEED)
    same = demon_thermometer(Ising(lattice), -100.0, 1500, burn_in=200, seed=SEED)
    assert abs(reading.beta - same.beta) < 0.03


@pytest.mark.parametrize(
    ("model", "spacing"),
    [
        (Clock(square(32), 5), None),
        (spin_glass(square(64), "gaussian", seed=1), None),
        (Ising(square(12), 1 + 2.0**-14 * (np.arange(288) % 2)), 2.0**-13),
    ],
    ids=["clock", "spin glass", "close couplings"],
)
def test_lattices_whose_energies_would_need_too_many_bins(model, spacing: float | None) -> None:
    chains = chains_at(model, -10.0, 2)
    chains.sweep(3)
    assert chains.spacing == spacing
    np.testing.assert_allclose(chains.energy + chains.demon_energy, chains.total_energy, atol=1e-6)
    assert chains.total_energy == pytest.approx(-10.0, abs=1e-5)


def test_a_large_lattice_has_its_spacing() -> None:
    """1100² sites are more than 2²⁰ energies."""
    assert energy_spacing(Ising(square(1100))) == 4.0


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_the_compiled_kernels_equal_their_python_bit_for_bit(monkeypatch) -> None:
    for model in (CASES["Potts"], CASES["chiral clock, real couplings"]):
        energy = total_energies(model)[0]
        compiled = chains_at(model, energy, 3)
        moments = compiled.sweep(3)
        with monkeypatch.context() as patch:
            patch.setattr(demon, "approach", approach.py_func)
            patch.setattr(demon, "exchange_energy", exchange_energy.py_func)
            in_python = chains_at(model, energy, 3)
            assert np.array_equal(in_python.sweep(3), moments)
        assert np.array_equal(compiled._states, in_python._states)
        assert np.array_equal(compiled._purses, in_python._purses)


def test_sweeps_may_be_divided_and_a_state_restored() -> None:
    model = CASES["Potts"]
    energy = total_energies(model)[1]
    at_once, in_parts, other = (chains_at(model, energy, 5) for _ in range(3))
    at_once.sweep(7)
    in_parts.sweep(3)
    other.restore(in_parts.state())
    in_parts.sweep(4)
    other.sweep(4)
    for chains in (in_parts, other):
        assert np.array_equal(at_once.spins, chains.spins)
        assert np.array_equal(at_once.demon_energy, chains.demon_energy)


def test_bad_input_is_refused_in_one_sentence() -> None:
    model = Ising(square(4))
    for arguments, error, message in (
        ((XY(square(4)), 0.0, 10), InvalidInputError, "thermo.Ising, Potts or Clock"),
        ((model, np.nan, 10), InvalidInputError, "energy"),
        ((model, -40.0, 10), EnergyOutOfRangeError, "-32 … 48"),
        ((model, 60.0, 10), EnergyOutOfRangeError, "-32 … 48"),
        ((model, 0.0, 1), InvalidInputError, "sweeps = 1"),
    ):
        with pytest.raises(error, match=message):
            demon_thermometer(*arguments, burn_in=0)
    with pytest.raises(InvalidInputError, match="at least 8, the largest change of energy"):
        demon_thermometer(model, 0.0, 10, burn_in=0, demon_maximum=4.0)
    for purse, message in ((1e100, "at most 64"), (np.nan, "demon_maximum = nan")):
        with pytest.raises(InvalidInputError, match=message):
            demon_thermometer(model, 0.0, 10, burn_in=0, demon_maximum=purse)
    with pytest.raises(InvalidInputError, match="all of whose states have the same energy"):
        demon_thermometer(Ising(square(4), 0.0), 0.0, 10, burn_in=0)
    with pytest.raises(InvalidInputError, match=r"are free; accepted, .* at most \d+ replicas"):
        demon_thermometer(model, 0.0, 10, burn_in=0, replicas=10**12)
    with pytest.raises(InvalidInputError, match="replicas = 0"):
        demon_thermometer(model, 0.0, 10, burn_in=0, replicas=0)
    frustrated = Ising(triangular(3), -1.0)  # its lowest energy is −9, not the bound −27
    with pytest.raises(EnergyOutOfRangeError, match="no state of"):
        demon_thermometer(frustrated, -26.0, 10, burn_in=0, demon_maximum=12.0)
    assert demon_thermometer(Ising(honeycomb(3)), 0.0, 10, burn_in=0).demon_maximum == 12.0


def test_a_lattice_may_have_all_the_energy_where_energies_lie_on_no_lattice() -> None:
    """E_total is a level: states with an empty purse count, rounding or not.

    |z| < 5 of independent replicas: a false alarm in 10⁶ runs.
    """
    model = Clock(chain(5), 5)
    levels = model.levels()
    total = float(levels.energies[levels.energies.size // 2])
    demons = DemonChains(model, total, 256, seed=np.random.SeedSequence(SEED))
    demons.sweep(50)
    mean = demons.sweep(2000)[:, 0] * demons.demon_maximum
    purse = total - levels.energies
    there = (purse > -1e-9) & (purse < demons.demon_maximum + 1e-9)
    weight = np.exp(levels.log_degeneracy[there])
    exact = weight @ purse[there] / weight.sum()
    assert abs(mean.mean() - exact) < 5 * mean.std(ddof=1) / 16
