"""Matrices as integers with scales: codes by hand, and how far rounding moves a weight."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from llm_bridge.quantised import quantise
from thermo.errors import InvalidInputError


def test_codes_and_scales_by_hand() -> None:
    matrix = torch.tensor([[127.0, -64.0, 0.4, 0.0], [0.0, 0.0, 0.0, 0.0], [-2.54, 0.0, 0.01, 1.0]])
    found = quantise(matrix)
    assert found.codes.tolist() == [[127, -64, 0, 0], [0, 0, 0, 0], [-127, 0, 0, 50]]
    assert torch.allclose(found.scale[:, 0], torch.tensor([1.0, 0.0, 0.02]))
    halves = quantise(matrix, group=2)
    assert halves.scale.shape == (3, 2)
    assert halves.codes[0].tolist() == [127, -64, 127, 0]


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("group", [None, 8, 1])
def test_no_weight_moves_by_more_than_half_a_step(group: int | None, bits: int) -> None:
    matrix = torch.from_numpy(np.random.default_rng(7).normal(size=(40, 32))).float()
    found = quantise(matrix, group, bits=bits)
    step = found.scale.repeat_interleave(32 // found.scale.shape[1], dim=1)
    error = (found.dequantised() - matrix).abs()
    assert (error <= 0.5 * step * (1 + 1e-5)).all()
    assert int(found.codes.abs().max()) == found.largest
    assert torch.equal(quantise(-matrix, group, bits=bits).codes, -found.codes)
    again = quantise(found.dequantised(), group, bits=bits)
    assert torch.equal(again.codes, found.codes)


def test_finer_groups_and_tiny_rows() -> None:
    matrix = torch.from_numpy(np.random.default_rng(8).standard_t(3, size=(40, 64))).float()

    def error(group: int | None) -> float:
        return float((quantise(matrix, group).dequantised() - matrix).square().mean())

    assert error(8) < error(32) < error(None)
    tiny = quantise(torch.full((1, 3), 1e-44))
    assert torch.equal(tiny.dequantised(), torch.zeros(1, 3))


def test_four_bits_by_hand() -> None:
    matrix = torch.tensor([[7.0, -3.6, 0.4, 0.0], [0.0, 0.0, 0.0, -1.4]])
    found = quantise(matrix, bits=4)
    assert found.codes.tolist() == [[7, -4, 0, 0], [0, 0, 0, -7]]
    assert torch.allclose(found.scale[:, 0], torch.tensor([1.0, 0.2]))
    assert (found.bits, found.largest) == (4, 7)
    assert quantise(matrix).largest == 127


@pytest.mark.parametrize(
    "matrix",
    [
        torch.zeros(3),
        torch.zeros(0, 3),
        torch.ones(2, 2, dtype=torch.int8),
        torch.full((1, 2), np.nan),
    ],
)
def test_matrices_that_cannot_be_quantised(matrix: torch.Tensor) -> None:
    with pytest.raises(InvalidInputError, match=r"is accepted|are accepted"):
        quantise(matrix)


@pytest.mark.parametrize("bits", [2, 16, 0, "8", None, True, 4.5])
def test_other_bits(bits: object) -> None:
    with pytest.raises(InvalidInputError, match=r"bits = .*; 8 or 4 is accepted"):
        quantise(torch.ones(2, 4), bits=bits)  # type: ignore[arg-type]


@pytest.mark.parametrize("group", [3, 8, 0, -4, 1.5])
def test_groups_that_do_not_divide(group: object) -> None:
    with pytest.raises(InvalidInputError, match="group"):
        quantise(torch.ones(2, 4), group=group)  # type: ignore[arg-type]
