"""Heat between blocks of any β against exact numbers of states.

Seeds were chosen beforehand. Numbers over their errors, which come from R independent replicas, are
held to what Student's t exceeds with a probability of 10⁻⁵ in any of them (`student_limit`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from goodness_of_fit import student_limit

from thermo.cli.lab import lab
from thermo.errors import EquilibrationWarning, InvalidInputError, UncertaintyWarning
from thermo.laboratory import contact, heat_exchange
from thermo.laboratory.heat_exchange import _TOUCHING
from thermo.laboratory.heat_flow import HeatExchange, heat_flow
from thermo.laboratory.shared_energy import shared_energy
from thermo.lattice import chain, square
from thermo.microcanonical import microcanonical
from thermo.models.ising import Ising
from thermo.models.two_level import TwoLevel

SEED = 20261123
LATTICE, SPINS = Ising(square(8)), TwoLevel(40, gap=4.0)
SHORT: dict[str, Any] = {"sweeps": 200, "rate": 0.2, "replicas": 32, "seed": SEED, "threads": 1}


def within(found: HeatExchange, *, rate: float = 1e-5) -> bool:
    """Whether everything that has an expectation is what it should be."""
    off = [abs(f.deviation) for f in found.findings if f.expected is not None]
    return max(off) < student_limit(found.replicas, len(off), rate)


@pytest.mark.parametrize(
    "beta",
    [(-0.6, -0.2), (-0.2, -0.6), (-0.3, 0.3), (-0.5, 0.1), (0.0, 0.3), (0.5, 0.1), (-0.2, 0.0)],
)
def test_heat_goes_from_smaller_to_larger_beta_until_they_are_the_same(
    beta: tuple[float, float],
) -> None:
    found = heat_exchange([LATTICE, SPINS], beta, **SHORT)
    hot, cold = np.argsort(beta)
    heat = found.findings[0]
    assert heat.value > 10 * heat.error
    assert found.energy.value[hot, -1] < found.energy.value[hot, 0]
    assert found.energy.value[cold, -1] > found.energy.value[cold, 0]
    assert within(found)
    uneven = 2e-2 if min(beta) == -0.6 else 2e-3  # levels, at the upper end of so small a lattice
    assert found.shared_slope[0] == pytest.approx(found.shared_slope[1], abs=uneven)
    assert min(beta) < found.shared_slope[0] < max(beta)


@pytest.mark.parametrize("beta", [-np.inf, np.inf])
def test_a_block_at_the_end_of_its_spectrum_gives_or_takes_as_well(beta: float) -> None:
    found = heat_exchange([SPINS, TwoLevel(40, gap=4.0)], [beta, 0.0], **SHORT)
    assert np.sign(found.energy.value[0, -1] - found.energy.value[0, 0]) == np.sign(beta)
    assert within(found)


def test_blocks_of_the_same_beta_exchange_nothing_on_average() -> None:
    found = heat_exchange([LATTICE, SPINS], [-0.25, -0.25], **SHORT)
    change = found.final_energy.value - found.shared_energy
    assert np.all(np.abs(change) < student_limit(32, 2) * found.final_energy.error)
    given = np.abs(found.energy.value[:, 0] - found.shared_energy)
    assert np.all(given < student_limit(32, 2) * found.energy.error[:, 0])


def test_equal_lattices_at_plus_and_minus_t_end_at_beta_zero() -> None:
    """By symmetry at E = 0; the energies given scatter about it."""
    levels = contact.block(LATTICE).levels
    p = shared_energy(levels, levels, 0.0)
    assert p == pytest.approx(p[::-1], abs=1e-15)
    assert p @ microcanonical(levels).beta_boltzmann == pytest.approx(0.0, abs=1e-12)
    found = heat_exchange([LATTICE, LATTICE], [-0.3, 0.3], **SHORT)
    assert within(found)
    spread = np.hypot(found.final_slope.error, found.slope.error[:, 0])
    assert np.all(np.abs(found.final_slope.value) < student_limit(32, 2) * spread)


def test_energy_is_conserved_exactly() -> None:
    found = heat_exchange([LATTICE, SPINS], [-0.3, 0.4], **SHORT)
    total = found.energy.value.sum(axis=0)
    np.testing.assert_allclose(total, total[0], rtol=1e-12)


def test_the_total_entropy_grows_and_never_falls() -> None:
    found = heat_exchange([LATTICE, LATTICE], [-0.5, 0.2], **SHORT)
    assert found.entropy_gain.value > 100 * found.entropy_gain.error
    assert found.largest_fall.value < student_limit(32, 19) * found.largest_fall.error


def test_the_same_backwards_fails_the_test_of_entropy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        heat_exchange.__globals__,
        "heat_flow",
        lambda *arguments: heat_flow(*arguments[:-1], arguments[-1][:, ::-1]),
    )
    with pytest.warns(EquilibrationWarning):
        found = heat_exchange([LATTICE, LATTICE], [-0.5, 0.2], **SHORT)
    assert found.largest_fall.value > student_limit(32, 19) * found.largest_fall.error


def test_too_short_a_contact_warns_and_says_how_long_it_should_be() -> None:
    blocks, beta = [LATTICE, LATTICE], [-0.5, 0.2]
    short = {**SHORT, "sweeps": 500, "rate": 0.01}
    with pytest.warns(EquilibrationWarning, match="Give more sweeps: at least") as warned:
        found = heat_exchange(blocks, beta, **short)
    assert warned[0].filename == __file__
    assert np.all(np.abs(found.drift.value) > 4.0 * found.drift.error)
    needed = int(str(warned[0].message).split("at least ")[1].split(",")[0])
    assert within(heat_exchange(blocks, beta, **{**short, "sweeps": needed}))


@pytest.mark.parametrize("beta", [(0.5, 0.2), (-0.5, -0.2)])
def test_half_the_default_sweeps_are_enough_for_ordinary_beta(beta: tuple[float, float]) -> None:
    """Warnings are errors here. The default ones are for 32²; 500 with a rate of 0.05 were not."""
    assert within(heat_exchange(beta=beta, replicas=16, sweeps=500, seed=SEED, threads=1))
    with pytest.warns(EquilibrationWarning, match="still on its way"):
        heat_exchange(beta=beta, sweeps=500, rate=0.05, seed=SEED, threads=1)


@pytest.mark.filterwarnings("ignore::thermo.errors.EquilibrationWarning")
def test_too_short_a_contact_fails_the_test_of_equilibrium() -> None:
    found = heat_exchange([LATTICE, LATTICE], [-0.5, 0.2], **{**SHORT, "sweeps": 40, "rate": 0.01})
    assert not within(found)


def test_what_cannot_change_has_no_error() -> None:
    """Ground states and single excitations: all states of their energies have the same entropy."""
    with pytest.warns(UncertaintyWarning, match="no energy changed in any draw at β = 2"):
        found = heat_exchange([Ising(square(4))] * 2, [1.0, 2.0], sweeps=200, seed=3, threads=1)
    gain, fall = found.entropy_gain, found.largest_fall
    assert gain.value == gain.error == fall.value == fall.error == 0.0
    assert found.entropy_gain_expected == 0.0


def test_findings_name_blocks_and_what_cancels_is_zero() -> None:
    found = heat_exchange([LATTICE, LATTICE], [-np.inf, np.inf], **SHORT)
    assert found.findings[0].what == "heat that left block 1, of β = -inf"
    assert found.shared_energy.tolist() == found.shared_slope.tolist() == [0.0, 0.0]
    same = heat_exchange([LATTICE, LATTICE], [0.3, 0.3], **SHORT)
    assert same.findings[0].what == "heat that left block 1, of β = 0.3"


def test_what_is_in_equilibrium_with_the_same_is_in_equilibrium() -> None:
    """Three blocks of different kinds and sizes: the zeroth law."""
    found = heat_exchange([LATTICE, SPINS, Ising(square(6))], [-0.4, 0.1, 0.4], **SHORT)
    assert within(found)
    assert found.passed is not None
    assert np.ptp(found.shared_slope) < 5e-3
    assert (found.energy.value[1, found.parted :] == found.energy.value[1, found.parted]).all()


def test_blocks_that_touched_nothing_before_fail_the_zeroth_law(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    apart = _TOUCHING[3].copy()
    apart[0] = np.eye(3, dtype=bool)
    monkeypatch.setitem(_TOUCHING, 3, apart)
    found = heat_exchange([LATTICE, SPINS, LATTICE], [-0.4, 0.1, 0.4], **SHORT)
    assert found.passed is not None
    assert found.passed.value < -student_limit(32, 1) * found.passed.error


def test_what_was_interrupted_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = [Ising(chain(6)), TwoLevel(4, gap=4.0)]
    options: dict[str, Any] = {"sweeps": 2500, "replicas": 8, "seed": SEED}
    whole = heat_exchange(blocks, [-0.3, 0.3], threads=2, **options)
    advance = contact._Exchange.advance

    def broken(self: Any, steps: int) -> dict[str, np.ndarray]:
        if self._done + steps > 2000:
            raise KeyboardInterrupt
        return advance(self, steps)

    monkeypatch.setattr(contact._Exchange, "advance", broken)
    with pytest.raises(KeyboardInterrupt):
        heat_exchange(blocks, [-0.3, 0.3], threads=1, checkpoint=tmp_path / "c", **options)
    assert list((tmp_path / "c").glob("*.state"))
    monkeypatch.setattr(contact._Exchange, "advance", advance)
    again = heat_exchange(blocks, [-0.3, 0.3], threads=1, checkpoint=tmp_path / "c", **options)
    assert (again.energy.value == whole.energy.value).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"beta": [0.1]}, "2 or 3 blocks"),
        ({"beta": [0.1, 0.2, 0.3, 0.4]}, "2 or 3 blocks"),
        ({"beta": [0.1, np.nan]}, "β = nan"),
        ({"blocks": [LATTICE]}, "with 2 β; accepted: a list of as many"),
        ({"blocks": LATTICE}, "accepted: a list of as many"),
        ({"blocks": [LATTICE, TwoLevel(9, gap=3.0)]}, "cost in common"),
        ({"sweeps": 39}, "sweeps = 39 was given; accepted: an integer of at least 40"),
        ({"rate": 0.0}, "rate = 0 was given; accepted: above 0, at most 1"),
        ({"rate": 1.5}, "at most 1"),
        ({"replicas": 7}, "at least 8"),
        ({"seed": -1}, "seed = -1"),
        ({"threads": 0}, "threads"),
    ],
)
def test_bad_input(wrong: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"blocks": [LATTICE, SPINS], "beta": [0.1, 0.2], **SHORT, **wrong}
    with pytest.raises(InvalidInputError, match=message):
        heat_exchange(**given)


def test_the_command_prints_json_and_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--size", "4", "--sweeps", "400", "--out", str(tmp_path / "heat.png")]
    with matplotlib.rc_context():
        lab(
            ["heat-exchange", "--beta=-0.4,0.1,0.4", *options, "--json"],
            standalone_mode=False,
        )
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "spinlogit.lab.heat-exchange/1"
    assert document["beta"] == [-0.4, 0.1, 0.4]
    assert len(document["energy"]["value"]) == 3
    assert (tmp_path / "heat.png").stat().st_size > 10_000
    with pytest.raises(InvalidInputError, match="--overwrite"):
        lab(["heat-exchange", *options], standalone_mode=False)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--beta", "0.1"], "2 or 3 blocks"),
        (["--beta", "hot,cold"], "--beta 'hot'"),
        (["--size", "2"], "--size = 2"),
        (["--out", "heat.txt"], r"\.png, \.svg, \.pdf"),
    ],
)
def test_bad_input_of_the_command(wrong: list[str], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        lab(["heat-exchange", *wrong], standalone_mode=False)
