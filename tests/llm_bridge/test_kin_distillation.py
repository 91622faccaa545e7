"""Students of heated teachers: exact where they can follow, an exact balance where they cannot."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import softmax, xlogy
from torch import nn

from llm_bridge.brownian import effective_temperature
from llm_bridge.kin import distil
from thermo.errors import InvalidInputError

POSITIONS, HIDDEN, TOKENS = 80, 4, 6


@pytest.fixture(autouse=True)
def own_stream():
    with torch.random.fork_rng():
        torch.manual_seed(20261121)
        yield


def head(inputs: int = HIDDEN) -> nn.Linear:
    return nn.Linear(inputs, TOKENS, dtype=torch.float64)


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(POSITIONS, HIDDEN, dtype=torch.float64)


@pytest.fixture
def z(x: torch.Tensor) -> torch.Tensor:
    teacher = head()
    with torch.no_grad():
        return teacher(x) * 1.5


def entropy(logits: torch.Tensor) -> float:
    p = softmax(logits.detach().numpy(), axis=-1)
    return float(-xlogy(p, p).sum(axis=-1).mean())


@pytest.mark.parametrize(
    ("beta", "own"), [(1.0, 1.0), (2.0, 1.0), (0.25, 1.0), (-1.0, 1.0), (0.5, 0.5), (0.5, -2.0)]
)
def test_a_student_that_can_follow(
    x: torch.Tensor, z: torch.Tensor, beta: float, own: float
) -> None:
    """Experiment 13: the student is the teacher at β/β_s, of either sign, and nothing else."""
    student = head()
    done = distil(student, x, z, beta=beta, student_beta=own)
    assert done.divergence < 1e-9
    if (beta, own) == (1.0, 1.0):
        return
    fit = effective_temperature(z, student(x).detach()[None])
    assert fit.beta == pytest.approx(beta / own, rel=1e-4)
    assert abs(fit.residual_kl) < 1e-8
    assert abs(fit.disagreement) < 1e-12


def test_infinite_temperature(x: torch.Tensor, z: torch.Tensor) -> None:
    student = head()
    distil(student, x, z, beta=0.0)
    assert entropy(student(x)) == pytest.approx(math.log(TOKENS), abs=1e-9)


@pytest.mark.parametrize("beta", [2.0, 1.0, 0.5, -1.0])
def test_a_student_that_cannot_is_hotter_by_what_it_misses(
    x: torch.Tensor, z: torch.Tensor, beta: float
) -> None:
    student = head(2)
    done = distil(student, x[:, :2], z, beta=beta)
    excess = entropy(student(x[:, :2])) - entropy(beta * z)
    assert done.divergence > 0.01
    assert excess == pytest.approx(done.divergence, rel=1e-4)


def test_the_balance_needs_a_scale_that_is_free(x: torch.Tensor, z: torch.Tensor) -> None:
    """Negative controls: a student that is held back, and one that is not at its optimum."""
    for settings in ({"prior_precision": 5.0}, {"steps": 1}):
        student = head(2)
        done = distil(student, x[:, :2], z, beta=1.0, **settings)
        excess = entropy(student(x[:, :2])) - entropy(z)
        assert abs(excess / done.divergence - 1) > 0.02


def test_students_of_drawn_tokens_disagree(x: torch.Tensor, z: torch.Tensor) -> None:
    """MI = Σ(h/(h + α))²/2n over the curvatures h of the loss, and no heat but the prior's.

    Each prediction at 4 errors, false-alarm rate 6e-5.
    """
    observations, precision, students = 200, 1.0, 40
    n = POSITIONS * observations
    noisy = []
    for seed in range(students):
        student = head()
        distil(
            student, x, z, beta=1.0, observations=observations, prior_precision=precision,
            seed=seed, steps=100,
        )  # fmt: skip
        noisy.append(student(x).detach().numpy())
    fit = effective_temperature(z, np.array(noisy), antithetic=False)
    rows = torch.cat([x, torch.ones(POSITIONS, 1)], dim=1).numpy()
    p = softmax(z.numpy(), axis=-1)
    fisher = np.einsum("ti,tj,tv,vw->viwj", rows, rows, p, np.eye(TOKENS))
    fisher -= np.einsum("ti,tj,tv,tw->viwj", rows, rows, p, p)
    size = TOKENS * (HIDDEN + 1)
    h = np.linalg.eigvalsh(fisher.reshape(size, size) / POSITIONS)
    expected = float(((h / (h + precision / n)) ** 2).sum()) / (2 * n)
    assert 0.9 < expected / ((TOKENS - 1) * (HIDDEN + 1) / (2 * n)) < 1.0
    error = fit.draw_errors["disagreement"]
    assert error < 0.05 * expected
    assert abs(fit.disagreement - expected) < 4 * error + 0.02 * expected
    assert abs(fit.disagreement - 0.5 * expected) > 4 * error  # control
    student = head()
    distil(student, x, z, beta=1.0, prior_precision=precision / observations)
    pulled = effective_temperature(z, student(x).detach()[None])
    assert abs(fit.beta - pulled.beta) < 4 * fit.draw_errors["beta"]


def test_the_same_seed_draws_the_same_tokens(x: torch.Tensor, z: torch.Tensor) -> None:
    def weights(seed: int) -> torch.Tensor:
        student = head()
        with torch.no_grad():
            student.weight.zero_(), student.bias.zero_()
        distil(student, x, z, beta=1.0, observations=3, prior_precision=1.0, seed=seed, steps=20)
        return student.weight.detach()

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"beta": math.inf}, "beta"),
        ({"beta": math.nan}, "beta"),
        ({"beta": 1.0, "student_beta": 0.0}, "student_beta"),
        ({"beta": 1.0, "prior_precision": -1.0}, "prior_precision"),
        ({"beta": 1.0, "observations": 0}, "observations"),
        ({"beta": 1.0, "steps": 0}, "steps"),
        ({"beta": 1.0, "seed": -1}, "seed"),
    ],
)
def test_bad_input(x: torch.Tensor, z: torch.Tensor, settings: dict, words: str) -> None:
    student = head()
    before = student.weight.detach().clone()
    with pytest.raises(InvalidInputError, match=words):
        distil(student, x, z, **settings)
    assert torch.equal(student.weight, before)


def test_shapes_must_fit(x: torch.Tensor, z: torch.Tensor) -> None:
    with pytest.raises(InvalidInputError, match="same"):
        distil(head(), x, z[:, :-1], beta=1.0)
