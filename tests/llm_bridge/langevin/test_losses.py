"""Losses: gradients and Laplacians against differences, torch against the same loss by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from llm_bridge.langevin import LinearModel, LinearNetwork, QuadraticLoss, TorchLoss
from llm_bridge.langevin.loss import Loss
from llm_bridge.langevin.quadratic import harmonic_crystal
from llm_bridge.langevin.response import TiltedLoss
from thermo.errors import InvalidInputError

SEED = 20261121


def data(rows: int = 12, d: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(SEED)
    inputs = rng.normal(size=(rows, d))
    return inputs, np.where(rng.random(rows) < 0.5, 1.0, -1.0)


def tanh_loss() -> TorchLoss:
    torch.manual_seed(SEED)
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh(), torch.nn.Linear(2, 1))
    inputs, targets = map(torch.from_numpy, data())
    return TorchLoss(module, lambda z, y: torch.nn.functional.mse_loss(z[:, 0], y), inputs, targets)


def losses() -> dict[str, Loss]:
    matrix = np.random.default_rng(SEED).normal(size=(4, 4))
    return {
        "quadratic": QuadraticLoss(matrix @ matrix.T, minimum=0.3, at=[1.0, 0.0, -1.0, 2.0]),
        "crystal": harmonic_crystal(5, stiffness=2.0),
        **{kind: LinearModel(*data(), loss=kind) for kind in ("squared", "logistic", "error rate")},
        "one layer": LinearNetwork([3, 2], rank=1),
        "two layers": LinearNetwork([3, 2, 4], rank=1),
        "four layers": LinearNetwork([2, 3, 2, 1, 2], rank=1),
        "tilted": TiltedLoss(LinearNetwork([1, 2, 1]), [1.0, 0.0, -2.0, 0.5], force=0.7),
        "tanh": tanh_loss(),
    }


LOSSES = losses()


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_and_laplacian_are_differences(name: str) -> None:
    loss = LOSSES[name]
    weights = np.random.default_rng(SEED).normal(size=(5, loss.dimension))
    step = 1e-4
    shifts = step * np.eye(loss.dimension)
    up, down = (np.stack([loss.value(weights + s * k) for k in shifts], axis=1) for s in (1, -1))
    here, gradient = loss.value_and_gradient(weights)
    assert here.shape == (5,)
    np.testing.assert_allclose(
        gradient, (up - down) / (2 * step), atol=1e-6 * (1 + abs(gradient).max())
    )
    curvature = ((up + down - 2 * here[:, None]) / step**2).sum(axis=1)
    np.testing.assert_allclose(
        loss.laplacian(weights), curvature, atol=1e-5 * (1 + abs(curvature).max())
    )


@pytest.mark.parametrize("name", ["squared", "logistic", "error rate", "tanh"])
def test_rows_are_a_mean_over_those_rows(name: str) -> None:
    loss = LOSSES[name]
    weights = np.random.default_rng(SEED).normal(size=(2, loss.dimension))
    every = np.tile(np.arange(12), (2, 1))
    for found, wanted in zip(
        loss.value_and_gradient(weights, every), loss.value_and_gradient(weights), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
    single = [loss.value_and_gradient(weights, every[:, k : k + 1])[1] for k in range(12)]
    np.testing.assert_allclose(
        np.mean(single, axis=0), loss.value_and_gradient(weights)[1], rtol=1e-9, atol=1e-12
    )


def test_torch_and_numpy_agree_and_the_module_stays_as_it_was() -> None:
    """A linear network on inputs of unit covariance, computed both ways."""
    inputs = np.sqrt(3.0) * np.eye(3)
    module = torch.nn.Sequential(
        torch.nn.Linear(3, 2, bias=False), torch.nn.Linear(2, 4, bias=False)
    )
    before = [p.detach().clone() for p in module.parameters()]
    by_torch = TorchLoss(
        module,
        lambda z, y: 0.5 * ((z - y) ** 2).sum(dim=-1).mean(),
        torch.from_numpy(inputs),
        torch.zeros(3, 4),
    )
    by_hand = LinearNetwork([3, 2, 4])
    weights = np.random.default_rng(SEED).normal(size=(7, by_hand.dimension))
    for found, wanted in zip(
        by_torch.value_and_gradient(weights), by_hand.value_and_gradient(weights), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
    np.testing.assert_allclose(by_torch.laplacian(weights), by_hand.laplacian(weights), rtol=1e-12)
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))
    assert all(p.dtype == torch.float32 and p.grad is None for p in module.parameters())
    flat = torch.cat([p.detach().ravel() for p in module.parameters()]).double().numpy()
    assert np.array_equal(by_torch.start(), flat)


def test_the_most_singular_minimum_is_one() -> None:
    for widths, rank in (((4, 3, 5), 2), ((3, 3, 2, 4), 1)):
        network = LinearNetwork(widths, rank=rank)
        value, gradient = network.value_and_gradient(network.centre()[None])
        assert value == 0
        assert not gradient.any()


def test_free_motions_cost_nothing() -> None:
    assert (harmonic_crystal(7).curvatures == 0).sum() == 1
    q = np.arange(7)
    np.testing.assert_allclose(
        harmonic_crystal(7, 2.5).curvatures, np.sort(10 * np.sin(np.pi * q / 7) ** 2), atol=1e-12
    )
    assert (QuadraticLoss([0.0, 3.0, 0.0]).curvatures == 0).sum() == 2


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: QuadraticLoss([1.0, -1.0]), "eigenvalue -1"),
        (lambda: QuadraticLoss([[1.0, 2.0], [0.0, 1.0]]), "symmetric"),
        (lambda: QuadraticLoss([1.0, np.nan]), "finite"),
        (lambda: QuadraticLoss([[1.0, 2.0]]), "shape"),
        (lambda: QuadraticLoss([1.0], at=[1.0, 2.0]), "at has shape"),
        (lambda: harmonic_crystal(2), "at least 3"),
        (lambda: LinearModel([[1.0]], [0.5], loss="logistic"), "labels"),
        (lambda: LinearModel([[1.0]], [1.0], loss="squard"), "did you mean 'squared'"),
        (lambda: LinearModel([1.0], [1.0]), "inputs has shape"),
        (lambda: LinearModel([[1.0]], [1.0, 2.0]), "targets has shape"),
        (lambda: LinearModel([[np.inf]], [1.0]), "NaN or infinity"),
        (lambda: LinearModel([[1.0]], [1.0], loss="logistic").hessian, "no constant Hessian"),
        (lambda: LinearNetwork([3]), "at least two"),
        (lambda: LinearNetwork([3, 0]), "width = 0"),
        (lambda: LinearNetwork([3, 2, 4], rank=3), "integer 0 … 2"),
        (lambda: TiltedLoss(QuadraticLoss([1.0]), [1.0, 1.0], 1.0), "direction has shape"),
        (
            lambda: TorchLoss(
                torch.nn.Tanh(), torch.nn.functional.mse_loss, torch.ones(1), torch.ones(1)
            ),
            "no parameters",
        ),
        (
            lambda: TorchLoss(
                torch.nn.Linear(1, 1),
                torch.nn.functional.mse_loss,
                torch.ones(2, 1),
                torch.ones(1, 1),
            ),
            "2 rows",
        ),
    ],
)
def test_bad_input(make, complaint: str) -> None:
    with pytest.raises(InvalidInputError, match=complaint):
        make()
