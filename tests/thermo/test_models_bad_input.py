"""What spin models refuse: one clear sentence each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.sparse import csr_array

from thermo.errors import InvalidInputError
from thermo.lattice import chain, from_edges, square
from thermo.models import (
    XY,
    Clock,
    Heisenberg,
    Ising,
    Potts,
    from_description,
    j1_j2,
    spin_glass,
)
from thermo.models.vector import VectorModel
from thermo.run.simulate import simulate

ring = chain(4)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Potts(7, 3), "lattice = 7"),
        (lambda: Potts(ring, 1), "q = 1"),
        (lambda: Potts(ring, 2.0), "q = 2.0"),
        (lambda: Clock(ring, 128), "q = 128"),
        (lambda: Clock(ring, 3, chirality=np.nan), "chirality = nan"),
        (lambda: Ising(ring, coupling=[1.0] * 3), "4 finite numbers, one for each bond"),
        (lambda: Ising(ring, coupling=[1.0, 2.0, np.inf, 3.0]), "finite"),
        (lambda: Ising(ring, coupling="strong"), "coupling = 'strong'"),
        (lambda: Ising(ring, coupling=1j), "coupling"),
        (lambda: Ising(ring, field=[1.0] * 5), "4 finite numbers, one for each site"),
        (lambda: Ising(ring, field=np.ones((4, 2))), "field"),
        (lambda: Ising(ring, csr_array(np.ones((3, 3)) - np.eye(3))), r"shape \(3, 3\)"),
        (lambda: Ising(ring, csr_array(np.ones((4, 4)))), "site 0 to itself"),
        (lambda: Ising(ring, csr_array(np.ones((4, 4)) - np.eye(4))), "0 and 2, which are not"),
        (lambda: Ising(ring, csr_array(np.diag(np.ones(3), 1))), "not symmetric"),
        (lambda: Ising(ring, csr_array(np.ones((2, 3)))), r"\(n, n\)"),
        (lambda: Heisenberg(ring, field=np.ones((4, 2))), r"shape \(4, 2\)"),
        (lambda: XY(ring, field=np.full((4, 2), np.nan)), "finite"),
        (lambda: Potts(ring, 3).energy([0, 1, 2, 3]), "0 … 2"),
        (lambda: Potts(ring, 3).energy([0, 1, 2, 0.5]), "whole numbers"),
        (lambda: Potts(ring, 3).energy([0, 1, 2, np.nan]), "whole numbers"),
        (lambda: Potts(ring, 3).energy([0, 1, 2]), r"shape \(3,\)"),
        (lambda: Potts(ring, 3).energy("0120"), "whole numbers|shape"),
        (lambda: Potts(ring, 3).delta_energy([0, 1, 2, 0], 4, 1), "site = 4"),
        (lambda: Potts(ring, 3).delta_energy([0, 1, 2, 0], 1, 3), "0 … 2"),
        (lambda: XY(ring).energy(np.ones((4, 2))), "unit vectors"),
        (lambda: XY(ring).energy(np.ones((4, 3))), r"shape \(4, 3\)"),
        (lambda: Heisenberg(ring).energy(np.full((3, 3), 3**-0.5)), r"\(\.\.\., 4, 3\)"),
        (lambda: XY(ring).delta_energy(XY(ring).ordered_states()[0], 0, [1.0, 1.0]), "unit"),
        (lambda: Potts(chain(14), 3).levels(), r"3\^14 states"),
        (lambda: Potts(ring, 3).ordered_states(2), "sign = 2"),
        (lambda: spin_glass(ring, "cauchy", seed=0), "law = 'cauchy'"),
        (lambda: spin_glass(ring, seed=-1), "seed = -1"),
        (lambda: spin_glass(4, seed=0), "lattice = 4"),
        (lambda: j1_j2(4, np.nan, 1.0), "j1 = nan"),
        (lambda: j1_j2(2, 1.0, 1.0), "king length = 2"),
        (lambda: from_description({"model": "os.system"}), "model = 'os.system'"),
        (lambda: from_description({"model": "Potts", "coupling": 1, "field": 0}), "no 'q'"),
        (lambda: from_description({"model": "Ising", "coupling": 1, "field": 0}), "'lattice'"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(make: Callable, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words) as refusal:
        make()
    assert "ccepted" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_vector_models_have_no_levels_to_list() -> None:
    with pytest.raises(InvalidInputError, match=r"energies are a continuum; accepted: thermo"):
        XY(ring).levels()
    assert isinstance(Heisenberg(ring), VectorModel)


def test_complex_numbers_ragged_edges_and_what_overflows_are_refused() -> None:
    def matrix(one: complex) -> csr_array:
        return csr_array(np.diag([one, 1.0, 1.0], 1) + np.diag([one, 1.0, 1.0], -1))

    path, xy = chain(4, periodic=False), XY(square(3))
    ising, potts = Ising(square(3)), Potts(square(3), 3)
    run = {"sweeps": 1, "burn_in": 0, "replicas": 2}
    refused: list[tuple[Callable[[], object], str]] = [
        (lambda: Ising(path, matrix(1j)), "elements of coupling .* real number"),
        (lambda: Ising(path, matrix(np.nan)), "coupling contains NaN"),
        (lambda: from_edges(3, [(0, 1), (1,)]), r"integers of shape \(M, 2\)"),  # type: ignore
        (lambda: ising.energy(np.ones(9) * 1j), "type complex128"),
        (lambda: ising.energy(np.ones(9, dtype=complex)), "type complex128"),
        (lambda: potts.energy(np.ones(9) * 1j), "type complex128"),
        (lambda: xy.energy(np.ones((9, 2)) * 1j), "real numbers"),
        (lambda: simulate(ising, 0.1, start=np.ones(9) * 1j, **run), "type complex128"),
        (lambda: simulate(xy, 0.1, start=np.ones((9, 2)) * 1j, **run), "real numbers"),
        (lambda: ising.delta_energy(np.ones(9), 1.5), r"site = 1.5 .* an integer 0 … 8"),
    ]
    for model in (Ising, XY):
        for coupling in (1e308, -1e308, np.full(32, 1e308)):
            refused.append((lambda m=model, c=coupling: m(square(4), c), "squares of energies"))
    refused.append((lambda: Ising(square(4), field=1e308), "squares of energies"))
    for make, words in refused:
        with pytest.raises(InvalidInputError, match=words):
            make()
    assert np.isfinite(Ising(square(4), 1e140).energy(np.ones(16)))
