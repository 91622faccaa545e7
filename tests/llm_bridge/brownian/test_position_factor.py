"""The factor of the covariance between positions: right, in pieces too, and where singular."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from llm_bridge.brownian import position_factor  # noqa: E402
from llm_bridge.brownian.position_factor import PositionFactor, add_products  # noqa: E402
from llm_bridge.brownian.shared_factors import LayerInputs, SharedFactors  # noqa: E402

SEED = 20261120
PIECES = {
    "whole": (150,),
    "one by one": (1,) * 150,
    "a prompt and tokens": (60, *(1,) * 90),
    "chunks": (1, 64, 1, 70, 14),
}


def difficult_inputs(draws: int, count: int = 150, width: int = 96) -> torch.Tensor:
    """Common direction, repeats exact and near, zeros, sizes from 1e-4 to 1e4; more than width."""
    generator = torch.Generator().manual_seed(SEED)
    x = torch.randn(draws, count, width, generator=generator)
    x += 5 * torch.randn(width, generator=generator)
    x[:, 5] *= 1e4
    x[:, 6] *= 1e-4
    x[:, 70:80] = x[:, :10]
    x[:, 80] = x[:, 3] * (1 + 1e-6)
    x[:, 81] = -x[:, 4]
    x[:, [20, 120]] = 0.0
    return x


def exact(x: torch.Tensor, times: np.ndarray, rho: float) -> torch.Tensor:
    apart = np.abs(times[:, None] - times)
    return (x.double() @ x.double().mT) * torch.from_numpy(rho**apart)


def error(rows: torch.Tensor, covariance: torch.Tensor) -> float:
    """Of LLᵀ, relative to the diagonal."""
    scale = covariance.diagonal(dim1=1, dim2=2).sqrt() + 1e-30
    seen = rows.double() @ rows.double().mT
    return float(((seen - covariance).abs() / (scale[:, :, None] * scale[:, None])).max())


def read(factor: PositionFactor, x: torch.Tensor, times: np.ndarray, pieces: tuple[int, ...]):
    """All rows of L, read in pieces."""
    rows, start = [], 0
    for count in pieces:
        stop = start + count
        new = factor.append(x[:, start:stop], times[start:stop])
        assert new.shape == (x.shape[0], count, stop)
        assert new.dtype == torch.float32
        assert not new[:, :, start:].triu(1).any()
        rows.append(torch.nn.functional.pad(new, (0, x.shape[1] - stop)))
        start = stop
    assert factor.count == start
    return torch.cat(rows, dim=1)


@pytest.mark.parametrize("pieces", PIECES.values(), ids=PIECES)
@pytest.mark.parametrize("rho", [1.0, 0.9, 0.1])
def test_covariance(rho: float, pieces: tuple[int, ...]) -> None:
    x, times = difficult_inputs(2), 3 + 2 * np.arange(150)
    covariance = exact(x, times, rho)
    rows = read(PositionFactor(rho), x, times, pieces)
    assert error(rows, covariance) < 3e-7
    # Negative control: the square root of the kernel.
    assert error(rows, exact(x, times, rho**0.5 if rho < 1 else 0.999)) > 1e-2


def test_single_precision_products_would_not_do() -> None:
    """Negative control: what is here summed in float64, in float32."""
    x = difficult_inputs(1)
    _, failure = torch.linalg.cholesky_ex(x @ x.mT)
    assert failure.item() > 0


def test_pieces_give_the_factor_of_the_whole() -> None:
    """Where inputs differ by more than rounding, L is unique."""
    generator = torch.Generator().manual_seed(SEED)
    x = torch.randn(3, 150, 200, generator=generator) + 2
    times = np.arange(150)
    whole = read(PositionFactor(0.97), x, times, (150,))
    assert torch.equal(read(PositionFactor(0.97, keep=False), x, times, (150,)), whole)
    for pieces in PIECES.values():
        torch.testing.assert_close(
            read(PositionFactor(0.97), x, times, pieces), whole, rtol=0, atol=2e-6
        )


def test_a_repeated_input_gets_the_noise_of_the_first() -> None:
    x = difficult_inputs(1)
    rows = read(PositionFactor(1.0), x, np.arange(150), (150,))[0]
    size = x[0].norm(dim=1)
    for again, first, sign in (*((70 + k, k, 1) for k in range(10)), (81, 4, -1)):
        assert float((rows[again] - sign * rows[first]).norm() / size[first]) < 3e-6
    assert not rows[[20, 120]].any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_types(dtype: torch.dtype) -> None:
    x = difficult_inputs(1)[:, :, :].clamp(-1e3, 1e3).to(dtype)
    times = np.arange(150)
    for pieces in ((150,), (20, *(1,) * 130)):
        assert error(read(PositionFactor(0.9), x, times, pieces), exact(x, times, 0.9)) < 3e-7


def test_inputs_need_not_be_contiguous() -> None:
    x = difficult_inputs(2).transpose(1, 2).contiguous().transpose(1, 2)
    times = np.arange(150)
    for pieces in ((150,), (20, *(1,) * 130)):
        assert error(read(PositionFactor(1.0), x, times, pieces), exact(x, times, 1.0)) < 3e-7


@pytest.mark.parametrize("start", [0, 30])
def test_a_factorisation_that_fails_is_mended(start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """LAPACK may meet a pivot that rounding made negative; the plain loop takes over."""
    x, times = difficult_inputs(2), np.arange(150)
    pieces = (start, 150 - start) if start else (150,)
    expected = read(PositionFactor(1.0), x, times, pieces)
    calls = []

    def failing(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        calls.append(matrix)
        return matrix, torch.ones(len(matrix), dtype=torch.int32)

    monkeypatch.setattr(torch.linalg, "cholesky_ex", failing)
    for keep in (True, False) if not start else (True,):
        rows = read(PositionFactor(1.0, keep=keep), x, times, pieces)
        assert error(rows, exact(x, times, 1.0)) < 3e-7
        assert error(rows, expected.double() @ expected.double().mT) < 6e-7
    assert calls


def test_thousands_of_equal_inputs() -> None:
    x = torch.ones(1, 700, 8)
    rows = read(PositionFactor(1.0), x, np.arange(700), (300, 1, 399))
    assert error(rows, exact(x, np.arange(700), 1.0)) < 3e-7


def test_a_fork_goes_its_own_way() -> None:
    x, times = difficult_inputs(2), np.arange(150)
    factor = PositionFactor(0.9)
    factor.append(x[:, :80], times[:80])
    fork = factor.fork(50)
    mine, theirs = x[:, 80:], -x[:, 80:].flip(1)
    one = factor.append(mine, times[80:])
    other = fork.append(theirs, times[80:])
    for new, before, rest in ((one, 80, mine), (other, 50, theirs)):
        inputs = torch.cat([x[:, :before], rest], dim=1)
        at = np.concatenate([times[:before], times[80:]])
        seen = new.double() @ new.double().mT
        wanted = exact(inputs, at, 0.9)[:, before:, before:]
        scale = wanted.diagonal(dim1=1, dim2=2).sqrt() + 1e-30
        assert float(((seen - wanted).abs() / (scale[:, :, None] * scale[:, None])).max()) < 3e-7


@pytest.mark.parametrize(
    ("draws", "before", "count"), [(1, 0, 1), (3, 7, 1), (1, 0, 130), (2, 70, 65)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_products_are_added(draws: int, before: int, count: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(SEED)
    factor = torch.randn(draws, count, before + count, generator=generator)
    factor = torch.cat([factor[:, :, :before], factor[:, :, before:].tril()], dim=2)
    normals = torch.randn(draws, before + count, 33, generator=generator)
    output = torch.randn(draws, count, 33, generator=generator).to(dtype)
    expected = output.double() + 0.3 * factor.double() @ normals.double()
    add_products(output, factor, normals, 0.3)
    rough = 0.02 if dtype == torch.bfloat16 else 2e-6
    torch.testing.assert_close(output.double(), expected, rtol=rough, atol=30 * rough)


# --- sharing --------------------------------------------------------------------------------------


class Counter:
    """How many factors are appended to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        plain = PositionFactor.append

        def counted(factor: PositionFactor, *arguments: object) -> torch.Tensor:
            self.calls += 1
            return plain(factor, *arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(position_factor.PositionFactor, "append", counted)


def test_layers_that_read_the_same_share(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = Counter(monkeypatch)
    shared = SharedFactors(1.0, keep=True)
    layers = [LayerInputs() for _ in range(3)]
    times = np.arange(2)
    for step in range(3):
        x = torch.randn(1, 2, 5)
        rows = [shared.rows(layer, x, x, times) for layer in layers]
        assert counter.calls == step + 1
        assert rows[0] is rows[1] is rows[2]
        assert rows[0].shape == (1, 2, 2 * step + 2)
    assert {layer.count for layer in layers} == {6}


@pytest.mark.parametrize("how", ["another tensor", "written to", "twice by one"])
def test_layers_that_read_something_else_do_not_share(how: str) -> None:
    """Each layer's factor is that of what it was given, whatever the others were given."""
    shared = SharedFactors(1.0, keep=True)
    layers = [LayerInputs() for _ in range(2)]
    read: list[list[torch.Tensor]] = [[], []]
    rows: list[torch.Tensor] = []
    times = np.arange(2)
    for step in range(4):
        x = torch.randn(1, 2, 50)
        for k in (0, 1, 1) if how == "twice by one" and step == 2 else (0, 1):
            if how == "another tensor" and step == 2 and k == 1:
                x = torch.randn(1, 2, 50)
            if how == "written to" and step == 2 and k == 1:
                x += 1.0
            rows.append(shared.rows(layers[k], x, x, times))
            read[k].append(x.clone())
            all_read = torch.cat(read[k], dim=1)
            alone = PositionFactor(1.0).append(all_read, np.zeros(all_read.shape[1]))
            torch.testing.assert_close(rows[-1], alone[:, -2:], rtol=0, atol=1e-4)
