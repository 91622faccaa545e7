"""Nuclear spins: the lattice of silver, both orders and where they set in."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from thermo.cli.lab import lab
from thermo.errors import InvalidInputError, NotConvergedError
from thermo.laboratory import nuclear
from thermo.laboratory.nuclear import SILVER_CURIE, SILVER_NEEL, Nuclear, _plane, _signs
from thermo.lattice import fcc
from thermo.models.ising import Ising

FEW = 1000  # sweeps: enough to see both transitions, too few for equilibrium at one of them
few_sweeps = pytest.mark.filterwarnings("ignore::thermo.errors.EquilibrationWarning")


@pytest.fixture(scope="module")
def few() -> Nuclear:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nuclear(sweeps=FEW, seed=3, threads=1)


def test_alternating_planes_are_ground_states_and_parallel_spins_the_highest() -> None:
    model = Ising(fcc(6), coupling=-1.0)
    n = model.lattice.n_sites
    assert model.energy(_signs(6)) == pytest.approx(-2.0 * n)  # 8 of 12 neighbours opposite
    assert float(model.energy(np.ones(n, dtype=int))) == 6.0 * n
    # No triangle has three opposite pairs, and each bond is in four of them: E ≥ −2n.
    triangles = np.trace(np.linalg.matrix_power(_adjacency(fcc(6)), 3)) / 6
    assert triangles == 8 * n
    # Any plane of alternating spins may be turned over as a whole: 3·2ᴸ arrangements, about.
    turned = _signs(6)[0].reshape(6, 6, 6).copy()
    i, j, k = np.indices((6, 6, 6))
    turned[(i + j) % 6 == 2] *= -1  # a plane (001), in which the signs alternate along (100)
    assert float(model.energy(turned.reshape(-1))) == -2.0 * n
    turned[(j + k) % 6 == 1] *= -1  # not after it has been turned: neighbours now agree
    assert float(model.energy(turned.reshape(-1))) > -2.0 * n


def _adjacency(lattice: Any) -> np.ndarray:
    matrix = np.zeros((lattice.n_sites,) * 2)
    a, b = lattice.edges.T
    matrix[a, b] = matrix[b, a] = 1.0
    return matrix


@pytest.mark.parametrize("which", range(6))
def test_the_plane_that_is_shown_is_a_chequerboard_of_neighbours(which: int) -> None:
    plane = _plane(_signs(6)[which], 6)
    assert np.array_equal(plane, plane[0, 0] * (-1) ** np.indices((6, 6)).sum(axis=0))
    table = fcc(6).neighbours
    i, k = np.indices((6, 6))
    in_plane = np.arange(216).reshape(6, 6, 6)[i, -i % 6, k]
    for step in ((0, 1), (1, 0)):
        for site, other in zip(in_plane.flat, np.roll(in_plane, step, (0, 1)).flat, strict=True):
            assert other in table[site]


def test_one_coupling_orders_in_two_ways(few: Nuclear) -> None:
    order = few.fcc
    cold, hot = int(np.argmax(order.beta)), int(np.argmin(order.beta))
    assert order.pattern[cold] > 0.95 > 0.05 > order.uniform[cold]
    assert order.uniform[hot] > 0.95 > 0.05 > order.pattern[hot]
    middle = np.abs(order.beta) < 0.03
    assert np.all(order.uniform[middle] < 0.06)
    assert np.all(np.sign(order.susceptibility) == np.sign(order.beta))
    # In the ferromagnet that of spins within one ordered state, not β n ⟨m²⟩ = −332.
    assert -0.02 < order.susceptibility[hot] < -0.003
    assert -10.0 < order.susceptibility.min() < -1.0  # at T_c, of 12³ spins
    assert few.cubic.susceptibility[0] > -0.1
    # High temperatures, |J| = 1, v = tanh β: neighbours share four triangles and 22 squares,
    # ⟨ss⟩ = −v + 4v² − 22v³ …; χ = β(1 − 12v + 132v² − 1404v³ + 14652v⁴ …) (Domb 1974).
    near = int(np.argmin(np.abs(order.beta - 0.05)))
    v = math.tanh(order.beta[near])
    assert order.energy[near] == pytest.approx(6.0 * (-v + 4.0 * v**2 - 22.0 * v**3), abs=0.01)
    series = 1.0 - 12.0 * v + 132.0 * v**2 - 1404.0 * v**3 + 14652.0 * v**4
    assert order.susceptibility[near] == pytest.approx(order.beta[near] * series, rel=0.1)


def test_the_planes_show_it(few: Nuclear) -> None:
    anti, none, ferro = (plane.astype(int) for plane in few.planes)
    board = (-1) ** np.indices(anti.shape).sum(axis=0)
    assert abs(np.mean(anti * board)) > 0.9
    assert abs(np.mean(ferro)) > 0.9
    assert abs(np.mean(none)) < 0.4
    assert few.planes_beta[0] > 0.0 == few.planes_beta[1] > few.planes_beta[2]


def test_silver_is_scaled_to_one_of_its_two_temperatures(few: Nuclear) -> None:
    assert few.curie.beta < 0.0 < few.neel.beta
    assert float(few.unit.kelvin(few.curie.beta)) == pytest.approx(SILVER_CURIE[0])
    (predicted,) = [f for f in few.findings if "silver from" in f.what]
    assert predicted.value * 1e-12 == pytest.approx(float(few.unit.kelvin(few.neel.beta)))
    assert predicted.expected == pytest.approx(SILVER_NEEL[0] * 1e12)
    assert predicted.value < 400.0 < SILVER_NEEL[0] * 1e12  # what the model gets wrong


def test_it_is_json_and_a_picture(few: Nuclear) -> None:
    from thermo.plots.laboratory.nuclear import nuclear_picture

    document = json.loads(json.dumps(few.to_dict(), allow_nan=False))
    assert document["schema"] == "spinlogit.lab.nuclear/1"
    assert document["neel"]["beta"] == few.neel.beta
    assert len(nuclear_picture(few).axes) == 5


@few_sweeps
def test_a_checkpoint_gives_the_same_bits(few: Nuclear, tmp_path: Path) -> None:
    again = nuclear(sweeps=FEW, seed=3, threads=2, checkpoint=tmp_path / "silver")
    assert json.dumps(again.to_dict()) == json.dumps(few.to_dict())
    names = sorted(path.name for path in (tmp_path / "silver").iterdir())
    assert names == ["cubic", "curie-12", "curie-4", "curie-6", "curie-8", "fcc", "neel"]
    finished = nuclear(sweeps=FEW, seed=3, threads=1, checkpoint=tmp_path / "silver")
    assert json.dumps(finished.to_dict()) == json.dumps(few.to_dict())


@pytest.mark.slow
def test_both_transitions_are_where_they_are_known_to_be() -> None:
    # 4 errors and the systematic ones: 6e-5 each, were they of one mind with the literature.
    found = nuclear(seed=20261123)
    assert (
        abs(found.curie.beta + 1 / 9.796) < 4.0 * found.curie.statistical + found.curie.systematic
    )
    assert found.curie.error < 0.004 * abs(found.curie.beta)
    assert 1.70 < found.neel.temperature < 1.77  # what has been published, and our error
    assert found.neel.statistical < 3e-4
    by_name = {finding.what: finding for finding in found.findings}
    (mirror,) = [f for name, f in by_name.items() if "simple cubic" in name]
    assert 0.15 < mirror.value < 3.0  # χ²/16 of 16: 5e-5 on each side
    (ratio,) = [f for name, f in by_name.items() if "nearest neighbours" in name]
    assert 5.3 < ratio.value < 6.0


@few_sweeps
def test_the_fewest_sweeps_are_enough_to_see_the_transitions() -> None:
    found = nuclear(sweeps=500, seed=4, threads=1)
    assert found.curie.beta < 0.0 < found.neel.beta


@pytest.mark.slow
@few_sweeps
def test_a_larger_lattice_finds_the_same_curie_temperature() -> None:
    """4 errors. Over a fixed range of β the cubic bent the crossing of L = 18 by 0.5 %."""
    found = nuclear(18, 20_000, seed=20261123)
    off = abs(found.curie.temperature + 9.796)
    assert off < 4.0 * found.curie.temperature_error
    assert found.curie.temperature_error < 0.02


@few_sweeps
def test_too_few_sweeps_for_a_larger_lattice_are_refused_in_words_of_beta() -> None:
    from thermo.laboratory.transitions import heat_capacity_peak
    from thermo.run.simulate import simulate

    run = simulate(
        Ising(fcc(6), coupling=-1.0), [0.2, 0.9], 200, burn_in=20, replicas=8, seed=1, threads=1
    )
    with pytest.raises(NotConvergedError, match=r"between β = 0\.2 and 0\.9 .* more sweeps"):
        heat_capacity_peak(run)


@pytest.mark.parametrize(
    ("wrong", "accepted"),
    [
        ({"size": 8}, "12 or 18"),
        ({"size": 24}, "12 or 18"),
        ({"size": 12.0}, "an integer"),
        ({"sweeps": 499}, "an integer 500"),
        ({"seed": -1}, "0 … 2⁶⁴"),
        ({"threads": 0}, "accepted"),
        ({"progress": "yes"}, "True or False"),
    ],
)
def test_bad_input(wrong: dict[str, Any], accepted: str) -> None:
    with pytest.raises(InvalidInputError, match=accepted):
        nuclear(**wrong)


def test_bad_input_at_the_command_line(tmp_path: Path) -> None:
    for wrong in (["--size", "7"], ["--sweeps", "1"], ["--out", str(tmp_path / "a.gif")]):
        result = CliRunner().invoke(lab, ["nuclear", *wrong])
        assert isinstance(result.exception, InvalidInputError)
