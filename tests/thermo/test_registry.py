"""Which batch carries out which update of which model."""

from __future__ import annotations

import numpy as np
import pytest

import thermo
from thermo.errors import InvalidInputError
from thermo.lattice import chain, from_edges, square, triangular
from thermo.models import XY, Clock, Heisenberg, Ising, Oscillator, Potts, TwoLevel, spin_glass
from thermo.run.simulate import simulate
from thermo.sampling.registry import accepted_updates, batch_kind
from thermo.sampling.updates import ALSO_CALLED, UPDATES

STAR = from_edges(17, [(0, k) for k in range(1, 17)])

MODELS = [
    Ising(square(4)),
    Ising(square(4), coupling=-0.5),
    spin_glass(chain(6, periodic=False), "gaussian", seed=1),  # not frustrated
    Potts(chain(6), 3),
    Clock(chain(6), 4),
    XY(chain(6)),
    Heisenberg(chain(6)),
]


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_every_accepted_update_runs_at_both_signs_of_beta(model: Ising) -> None:
    """Short runs of every pair, with all observables of the model and energies that add up."""
    for update in accepted_updates(model):
        run = simulate(
            model,
            [0.3, 0.0, -0.3],
            300,
            burn_in=200,
            replicas=12,
            update=update,
            measure_every=10,
            snapshots_every=20,
            seed=3,
        )
        wanted = {"energy", *model.observables(run.final_spins)}
        assert set(run.series) == wanted, update
        assert run.snapshots is not None
        assert np.array_equal(run.snapshots[:, :, -1], run.final_spins)
        # Each is of its own draw: none is a view of spins that went on.
        np.testing.assert_allclose(
            model.energy(run.snapshots), run.energy_series[..., 1::2], atol=1e-9, err_msg=update
        )
        for name, values in model.observables(run.final_spins).items():
            np.testing.assert_allclose(values, run.series[name][..., -1], atol=1e-9)


@pytest.mark.parametrize(
    ("model", "lanes"),
    [
        (Ising(square(4), field=0.3), True),
        (spin_glass(square(4), "bimodal", seed=1), True),
        (spin_glass(square(4), "gaussian", seed=1), False),
        (Ising(square(4), field=np.linspace(0, 1, 16)), False),
        (Ising(STAR), False),
        (Ising(from_edges(3, [])), True),
        (Potts(square(4), 2), False),
    ],
    ids=repr,
)
def test_the_fast_kernel_is_taken_where_it_can_be(model: Ising, lanes: bool) -> None:
    for update in ("metropolis", "heat_bath"):
        assert (batch_kind(model, update).name == "LaneBatch") == lanes


def test_few_chains_of_a_large_torus_are_swept_one_by_one() -> None:
    large = Ising(square(256), field=0.1)
    assert batch_kind(large, "metropolis", chains=2).name == "RowBatch"
    assert batch_kind(large, "metropolis", chains=512).name == "LaneBatch"
    for other in (
        Ising(square(250)),
        Ising(square(256, periodic=False)),
        Ising(triangular(256)),
        spin_glass(square(256), "bimodal", seed=1),
    ):
        assert batch_kind(other, "metropolis", chains=2).name == "LaneBatch"


def test_many_chains_flip_their_clusters_in_lanes() -> None:
    for update in ("wolff", "swendsen_wang"):
        assert batch_kind(Ising(square(4)), update, chains=512).name == "ClusterLaneBatch"
        assert batch_kind(Ising(square(4)), update, chains=32).name == "ClusterBatch"
        assert batch_kind(Potts(square(4), 3), update, chains=512).name == "ClusterBatch"


@pytest.mark.parametrize(
    ("model", "update", "words"),
    [
        (Ising(chain(4)), "swendsen-wang", "did you mean 'swendsen_wang'"),
        (Ising(chain(4)), "wollf", "did you mean 'wolff'"),
        (Ising(chain(4)), "over_relaxation", "accepted for Ising: 'metropolis'"),
        (XY(chain(4)), "kawasaki", "accepted for XY: 'metropolis'"),
        (XY(chain(4)), None, "update = None"),
        (TwoLevel(3), "metropolis", r"TwoLevel\(3"),
        (Oscillator(1.0), "metropolis", "see their levels"),
    ],
)
def test_what_there_is_not_is_refused(model: object, update: str, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words) as refusal:
        batch_kind(model, update)
    assert "accepted" in str(refusal.value)


@pytest.mark.parametrize(
    ("update", "meant"),
    [
        ("METROPOLIS", "metropolis"),
        ("metropolis ", "metropolis"),
        ("HEATBATH", "heat_bath"),
        ("heat-bath", "heat_bath"),
        ("Glauber", "heat_bath"),
        ("Gibbs", "heat_bath"),
        ("SW", "swendsen_wang"),
        ("swendsen", "swendsen_wang"),
        ("Swendsen-Wang", "swendsen_wang"),
        ("cluster", "swendsen_wang"),
        ("single cluster", "wolff"),
        ("n-fold", "rejection_free"),
        ("nfold", "rejection_free"),
        ("BKL", "rejection_free"),
        ("spin exchange", "kawasaki"),
        ("demon", "thermo.demon_thermometer"),
        ("replica-exchange", "thermo.parallel_tempering"),
        ("overrelaxation", "over_relaxation"),
    ],
)
def test_other_names_of_the_field_are_understood(update: str, meant: str) -> None:
    model = XY(chain(4)) if meant == "over_relaxation" else Ising(chain(4))
    with pytest.raises(InvalidInputError) as refusal:
        batch_kind(model, update)
    assert str(refusal.value).startswith(f"update = {update!r} was given; accepted for ")
    assert str(refusal.value).endswith(f"(did you mean {meant!r}?)")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("word", ["worm", "zzz", "", 3, None])
def test_words_that_are_like_no_update_get_no_suggestion(word: object) -> None:
    with pytest.raises(InvalidInputError, match=r"'swendsen_wang'$"):
        batch_kind(Ising(chain(4)), word)


def test_every_other_name_means_an_update_or_a_function() -> None:
    functions = {f"thermo.{name}" for name in thermo.__all__}
    assert set(ALSO_CALLED.values()) <= set(UPDATES) | functions
    assert all(word == word.lower() and word.isalnum() for word in ALSO_CALLED)


@pytest.mark.parametrize(
    ("model", "update", "words"),
    [
        (Ising(chain(4)), "over_relaxation", "'over_relaxation' is for the continuous spins of XY"),
        (Potts(chain(4), 3), "over-relaxation", "is for the continuous spins of XY and Heisenberg"),
        (XY(chain(4)), "n-fold way", "'rejection_free' is for the discrete spins of Ising, Potts"),
        (Heisenberg(chain(4)), "kawasaki", "is for the discrete spins of Ising, Potts and Clock"),
    ],
)
def test_an_update_of_other_models_is_named_as_such(model, update: str, words: str) -> None:
    with pytest.raises(InvalidInputError, match=f"update = '{update}' was given; .*{words}") as no:
        batch_kind(model, update)
    assert f"accepted for {type(model).__name__}: 'metropolis'" in str(no.value)


@pytest.mark.parametrize(
    ("model", "update", "words"),
    [
        (Ising(chain(4), field=0.1), "wolff", "field"),
        (Ising(triangular(3)), "swendsen_wang", "frustrated"),
        (Clock(chain(4), 3, chirality=0.2), "wolff", "chiral"),
        (XY(chain(4), field=0.1), "swendsen_wang", "field"),
    ],
)
def test_what_an_update_cannot_do_is_refused_before_any_work(
    model: Ising, update: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("work was begun")

    monkeypatch.setattr("thermo.run.simulate.run_chains", never)
    with pytest.raises(InvalidInputError, match=words):
        simulate(model, [0.2, -0.2], 10, burn_in=0, replicas=2, update=update)


def test_all_updates_are_known_by_name() -> None:
    assert set(UPDATES) == {
        "metropolis",
        "heat_bath",
        "kawasaki",
        "rejection_free",
        "over_relaxation",
        "wolff",
        "swendsen_wang",
    }
