"""Boltzmann against Gibbs: the numbers of the 32² torus, thermometers, and the zeroth law.

Seeds were chosen beforehand. Sampled numbers are held to what Student's t exceeds with a
probability of 10⁻⁵ in any of them, at the fewest independent replicas behind one of them.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from goodness_of_fit import student_limit

from thermo.cli.lab import lab
from thermo.cli.lab.microcanonical import METHODS as COMMAND_METHODS
from thermo.errors import InvalidInputError
from thermo.exact.density_of_states import ising_torus
from thermo.laboratory import microcanonical
from thermo.laboratory.contact import blocks_that_can_exchange
from thermo.laboratory.microcanonical import METHODS, TwoTemperatures
from thermo.laboratory.zeroth_law import zeroth_law
from thermo.lattice import square
from thermo.microcanonical import microcanonical as both_definitions
from thermo.models.ising import Ising
from thermo.models.two_level import TwoLevel

SEED = 20261124
SHORT: dict[str, Any] = {"sweeps": 1000, "seed": SEED, "threads": 1}


@pytest.fixture(scope="module")
def found() -> TwoTemperatures:
    return microcanonical(8, **SHORT)


def test_the_32x32_torus_has_the_numbers_of_the_literature() -> None:
    """β_B(+1) = −0.379, β_G(+1) ≈ 1.6·10⁻⁹⁸; β_B(0) = 0, β_G(0) = 0.0176."""
    shells = both_definitions(ising_torus(32))
    up, middle = (int(np.flatnonzero(shells.energy == e)[0]) for e in (1024.0, 0.0))
    assert shells.beta_boltzmann[up] == pytest.approx(-0.37923899, abs=1e-8)
    assert shells.beta_gibbs[up] == pytest.approx(1.6e-98, rel=0.02)
    assert shells.beta_boltzmann[middle] == pytest.approx(0.0, abs=1e-12)
    assert shells.beta_gibbs[middle] == pytest.approx(0.0176, abs=1e-4)


@pytest.mark.slow
def test_the_32x32_torus_sampled() -> None:
    """Exact numbers and sampled ones stand beside each other, and agree; Gibbs' fails."""
    found = microcanonical(32, seed=SEED, threads=1)
    values = {finding.what: finding for finding in found.findings}
    assert values["Boltzmann β at E/N = +1"].value == pytest.approx(-0.379239, abs=1e-6)
    assert values["Boltzmann β at E/N = +1"].value == pytest.approx(found.canonical_beta, abs=1e-3)
    assert 10.0 ** values["log₁₀ of the Gibbs β there"].value == pytest.approx(1.6e-98, rel=0.02)
    assert values["Gibbs β there"].value == pytest.approx(0.017649, abs=1e-6)
    check_findings(found)


def check_findings(found: TwoTemperatures) -> None:
    sampled = [f for f in found.findings if math.isfinite(f.deviation)]
    fails = [f for f in sampled if f.source.endswith("fails")]
    limit = student_limit(8, len(sampled))
    for finding in sampled:
        if finding not in fails:
            assert abs(finding.deviation) < limit, finding.what
    law = found.zeroth_law
    assert abs(fails[0].deviation) > limit or found.size == 8
    limit = student_limit(32, 2 * len(law.contact_beta))
    assert np.all(np.abs(law.boltzmann_difference) < limit * law.boltzmann_error)
    off = law.log_gibbs_difference - law.log_gibbs_expected
    assert np.all(np.abs(off) < limit * law.log_gibbs_error)


def test_every_sampled_number_is_what_the_exact_ones_say(found: TwoTemperatures) -> None:
    check_findings(found)


def test_the_systematic_part_of_a_demon_s_error_is_named(found: TwoTemperatures) -> None:
    assert found.demon_systematic == pytest.approx(0.0015, rel=0.05)  # of 8²
    assert np.all(found.demon_error > found.demon_systematic)
    demons = [f for f in found.findings if "demon" in f.what]
    assert all(f.source == "dS/dE, exact; systematic: ± 0.001" for f in demons)


def test_the_sampled_density_of_states_has_the_exact_slopes(found: TwoTemperatures) -> None:
    at = np.abs(found.energy[:, None] - found.sampled_energy).argmin(axis=0)
    middle = np.abs(found.sampled_energy) <= 1.2
    limit = student_limit(16, 3 * int(middle.sum()))
    for sampled, error, exact in (
        (found.sampled_entropy, found.sampled_entropy_error, found.entropy),
        (found.sampled_boltzmann, found.sampled_boltzmann_error, found.beta_boltzmann),
        (found.sampled_log_gibbs, found.sampled_log_gibbs_error, found.log_beta_gibbs),
    ):
        off = (sampled - exact[at])[middle]
        assert np.all(np.abs(off) < limit * error[middle] + 1e-12)


def test_both_definitions_agree_below_the_middle_and_gibbs_is_never_negative(
    found: TwoTemperatures,
) -> None:
    inner = np.abs(found.energy) < 1.5
    cold = inner & (found.energy < -0.8)
    assert np.exp(found.log_beta_gibbs[cold]) == pytest.approx(found.beta_boltzmann[cold], rel=0.1)
    hot = inner & (found.energy > 0.0)
    assert (found.beta_boltzmann[hot] < 0.0).all()
    assert np.isfinite(found.log_beta_gibbs).all()


@pytest.mark.parametrize(
    ("second", "equal"),
    [(TwoLevel(40, gap=4.0), False), (Ising(square(6)), False), (Ising(square(8)), True)],
)
def test_the_zeroth_law_holds_for_boltzmann_alone(second: Ising | TwoLevel, equal: bool) -> None:
    """Exactly, at all total energies; blocks that are equal agree in anything."""
    blocks = blocks_that_can_exchange([Ising(square(8)), second])
    law = zeroth_law((blocks[0], blocks[1]), [0.0], 2, replicas=8, seed=SEED, threads=1)
    middle = np.abs(law.total) < 0.6 * law.total.max()
    assert np.ptp(law.boltzmann[:, middle], axis=0).max() < 2e-3
    apart = law.log_gibbs[0] - law.log_gibbs[1]
    if equal:
        assert np.abs(apart).max() < 1e-9
    else:
        assert apart[np.argmax(law.total)] < -5.0


def test_blocks_that_are_not_in_equilibrium_fail_the_same_test(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Lattices at β = −0.1 beside spins at −0.3, which exchange next to nothing."""
    from thermo.laboratory import zeroth_law as module

    prepare, betas = module.canonical_spins, iter((-0.1, -0.3))
    monkeypatch.setitem(
        zeroth_law.__globals__,
        "canonical_spins",
        lambda one, beta, *more: prepare(one, next(betas), *more),
    )
    monkeypatch.setitem(zeroth_law.__globals__, "_RATE", 1e-6)
    blocks = blocks_that_can_exchange([Ising(square(8)), TwoLevel(32, gap=4.0)])
    law = zeroth_law((blocks[0], blocks[1]), [-0.3], 50, replicas=32, seed=SEED, threads=1)
    assert abs(law.boltzmann_difference[0]) > student_limit(32, 1) * law.boltzmann_error[0]


def test_the_same_seed_and_a_checkpoint_give_the_same_bits(
    found: TwoTemperatures, tmp_path: Path
) -> None:
    for _ in range(2):
        again = microcanonical(8, **{**SHORT, "threads": 2}, checkpoint=tmp_path / "c")
        assert again.to_dict() == found.to_dict()
    names = {path.name for path in (tmp_path / "c").iterdir()}
    assert {"density", "demon-0", "contact"} <= names


@pytest.mark.parametrize(
    ("method", "sweeps"),
    [
        ("multicanonical", 10_000),
        pytest.param("wang_landau", None, marks=pytest.mark.slow),
    ],
)
def test_other_methods_sample_the_same_density(method: str, sweeps: int | None) -> None:
    found = microcanonical(8, method, **{**SHORT, "sweeps": sweeps})
    at = np.abs(found.energy[:, None] - found.sampled_energy).argmin(axis=0)
    error = found.sampled_boltzmann_error
    # The 1/t noise of Wang and Landau is not all in the spread of 8 walkers.
    assert np.abs(found.sampled_boltzmann - found.beta_boltzmann[at]).max() < 10 * error.max()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": 7}, "an integer 8 … 64"),
        ({"size": 9}, "size = 9 was given; accepted: an even number 8 … 64"),
        ({"size": 66}, "an integer 8 … 64"),
        ({"size": 8.5}, "size = 8.5"),
        ({"method": "exact"}, "accepted: 'reweighting', 'multicanonical', 'wang_landau'"),
        ({"sweeps": 99}, "at least 100"),
        ({"seed": -1}, "seed = -1"),
        ({"threads": 0}, "threads = 0"),
    ],
)
def test_bad_input(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        microcanonical(**{"size": 8, **SHORT, **wrong})


def test_the_command_prints_json_and_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tuple(METHODS) == COMMAND_METHODS
    picture = tmp_path / "definitions.svg"
    options = ["--size", "8", "--sweeps", "500", "--out", str(picture)]
    lab(["microcanonical", *options, "--json"], standalone_mode=False)
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "spinlogit.lab.microcanonical/1"
    assert len(document["zeroth_law"]["log_gibbs"]) == 2
    assert picture.stat().st_size > 10_000
    with pytest.raises(InvalidInputError, match="--overwrite"):
        lab(["microcanonical", *options], standalone_mode=False)
    with pytest.raises(InvalidInputError, match="even number"):
        lab(["microcanonical", "--size", "15"], standalone_mode=False)
