"""Noise of the weights of one layer, added to what the layer puts out: forward hooks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from llm_bridge.brownian.layer_forms import Gain
from llm_bridge.brownian.noise import WeightNoise, kind_of
from llm_bridge.brownian.normal_rows import NormalRows
from llm_bridge.brownian.position_factor import add_products
from llm_bridge.brownian.selection import NoisyTensor
from llm_bridge.brownian.shared_factors import LayerInputs, SharedFactors
from llm_bridge.errors import UnsupportedNoiseError

if TYPE_CHECKING:
    import torch

__all__ = [
    "DenseNoise", "FreshDenseNoise", "GainNoise", "LayerNoise", "OuterDenseNoise",
    "OuterTokenNoise", "ReadingState", "ShiftNoise", "TokenNoise",
]  # fmt: skip


@dataclass
class ReadingState:
    """What all layers of a reading share."""

    noise: WeightNoise
    draws: range
    mirrored: bool
    one_pass: bool
    factors: SharedFactors
    times: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """Positions that the pass under way reads."""
    paused: bool = False
    """Layers are called for another purpose, and leave their output alone."""
    _steps: tuple[Any, ...] | None = None

    def __post_init__(self) -> None:
        # What a path does that is extremely short, or slow, is that of annealed or quenched noise.
        self.fresh = self.noise.rho == 0.0
        self.frozen = self.noise.rho == 1.0

    def normals(self, tensor: NoisyTensor, width: int, part: int = 0) -> NormalRows:
        """The random numbers of a tensor."""
        return NormalRows(self.noise.seed, tensor.place, self.draws, self.mirrored, width, part)

    def steps(
        self, times: NDArray[np.int64], before: int | None, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`_path_steps`, remembered: most vectors of a model ask for the same ones."""
        key = (times.tobytes(), before, device)
        if self._steps is None or self._steps[0] != key:
            self._steps = (key, *_path_steps(times, before, self.noise.rho, device))
        return self._steps[1], self._steps[2]


class LayerNoise:
    """A forward hook of one layer, for one of its tensors."""

    def __init__(self, tensor: NoisyTensor, state: ReadingState) -> None:
        self.name = tensor.name
        self.size = tensor.size
        self.state = state
        self.count = 0  # rows of random numbers used so far

    def __call__(
        self,
        module: Any,
        arguments: tuple[Any, ...],
        named: dict[str, Any],
        output: torch.Tensor,
    ) -> torch.Tensor | None:
        if self.state.paused:
            return None
        if output.requires_grad:
            raise UnsupportedNoiseError(
                "noise in function space has no gradient; read under torch.no_grad()."
            )
        whole = output if output.is_contiguous() else output.contiguous()
        draws = len(self.state.draws)
        if whole.shape[0] != draws:
            whole = self.all_draws(whole)
        by_draw = whole.view(draws, -1, whole.shape[-1])
        x = arguments[0] if arguments else next(iter(named.values()))
        self.count += self.add(module, x, by_draw)
        return whole

    def add(self, module: Any, x: torch.Tensor, output: torch.Tensor) -> int:
        """Add the noise to the output (k, m, d), in place, with so many rows of random numbers."""
        raise NotImplementedError

    def all_draws(self, output: torch.Tensor) -> torch.Tensor:
        """An output whose first axis is not the draws: refused, or brought into shape."""
        draws, positions = len(self.state.draws), self.state.times.size
        if draws == 1 or (output.ndim == 2 and output.shape[0] == draws * positions):
            return output  # all rows of one draw, or batch and positions as one axis
        raise UnsupportedNoiseError(
            f"the layer of {self.name} puts out a tensor of shape {tuple(output.shape)}, in which "
            f"the {draws} draws cannot be told apart; accepted: draws = 1, or machine='copies'."
        )

    def positions(self, x: torch.Tensor, count: int) -> NDArray[np.int64] | None:
        """Which of the positions of this pass the rows of the output belong to, if that is known.

        One row for each; several, where a layer reads (k, n, heads, d) or (k, heads, n, d); the
        last ones, where a head is asked for the last logits only.
        """
        n = self.state.times.size
        if count == n:
            return np.arange(n)
        if x.ndim == 4 and n in x.shape[1:3]:
            one, other = x.shape[1:3]
            # The axis of the heads is the inner one of memory, whichever comes first in the shape.
            if one == n and (other != n or x.stride(1) >= x.stride(2)):
                return np.repeat(np.arange(n), other)
            return np.tile(np.arange(n), one)
        if count < n and kind_of(self.name) == "head":
            return np.arange(n - count, n)
        return None

    def require_known(self, positions: NDArray[np.int64] | None, count: int) -> NDArray[np.int64]:
        """The positions, or an error where these are not known."""
        if positions is None:
            raise UnsupportedNoiseError(
                f"the layer of {self.name} reads {count} inputs where the text has "
                f"{self.state.times.size} positions, and which belong together is unknown; "
                "accepted: quenched noise, or machine='copies'."
            )
        return positions


class DenseNoise(LayerNoise):
    """Frozen or wandering Gaussian noise on W of y = xWᵀ: σLZ, see `PositionFactor`."""

    def __init__(self, tensor: NoisyTensor, state: ReadingState, width: int) -> None:
        super().__init__(tensor, state)
        self.inputs = LayerInputs()
        self.normals = state.normals(tensor, width)
        self._kept: torch.Tensor | None = None  # (k, capacity, width): Z so far

    def add(self, module: Any, x: torch.Tensor, output: torch.Tensor) -> int:
        draws, count, _ = output.shape
        if self.state.one_pass and self.count:
            raise UnsupportedNoiseError(
                f"the layer of {self.name} is called a second time in a reading of one pass; "
                "accepted: one_pass=False."
            )
        if self.state.frozen:
            times = np.zeros(count, dtype=np.int64)  # it does not matter which
        else:
            times = self.state.times[self.require_known(self.positions(x, count), count)]
        rows = self.state.factors.rows(self.inputs, x, x.reshape(draws, count, -1), times)
        add_products(output, rows, self._normals(count, output.device), self.size)
        return count

    def _normals(self, count: int, device: torch.device) -> torch.Tensor:
        """Z of all positions so far and of the next ones."""
        if self.state.one_pass:
            return self.normals.next(count, self.count, device)
        kept, stop = self._kept, self.count + count
        if kept is None or kept.shape[1] < stop:
            self._kept = _grown(kept, (len(self.state.draws), stop, self.normals.width), device)
        assert self._kept is not None
        self.normals.fill(self._kept, self.count, count, self.count)
        return self._kept[:, :stop]


class FreshDenseNoise(LayerNoise):
    """Gaussian noise on W of y = xWᵀ, fresh at every position: |x| times normal numbers."""

    def __init__(self, tensor: NoisyTensor, state: ReadingState, width: int) -> None:
        super().__init__(tensor, state)
        self.normals = state.normals(tensor, width)

    def add(self, module: Any, x: torch.Tensor, output: torch.Tensor) -> int:
        draws, count, _ = output.shape
        if count > self.state.times.size:  # several inputs at one position see the same weights
            self.require_known(None, count)
        self.normals.add(output, x.reshape(draws, count, -1), self.size, self.count)
        return count


class OuterNoise:
    """E = σ A Bᵀ, of which a layer needs parts only: factorised noise and noise of low rank."""

    def __init__(self, tensor: NoisyTensor, state: ReadingState, shape: tuple[int, int]) -> None:
        self.factorised = state.noise.law == "factorised"
        self.rank = 1 if self.factorised else state.noise.rank
        self.scale = math.sqrt(math.pi / 2 if self.factorised else 1 / self.rank)
        self.normals = state.normals(tensor, self.rank)  # row j is row j of A
        self.width = shape[1]
        self._other = state.normals(tensor, shape[1] * self.rank, part=1)
        self._other.signs[:] = 1.0  # the mirror image of A Bᵀ is that of A alone
        self._right: torch.Tensor | None = None

    def left(self, rows: NDArray[np.int64], device: torch.device) -> torch.Tensor:
        """The rows, (k, m) or (1, m), of A: (k, m, r)."""
        return self._law(self.normals.numbered(rows, device)) * self.scale

    def right(self, like: torch.Tensor) -> torch.Tensor:
        """B, (k, n, r), of the type of a tensor and where that is."""
        if self._right is None:
            numbers = self._other.next(1, 0, like.device)
            self._right = self._law(numbers).view(-1, self.width, self.rank).to(like.dtype)
        return self._right

    def _law(self, numbers: torch.Tensor) -> torch.Tensor:
        return numbers.sign() * numbers.abs().sqrt() if self.factorised else numbers


class OuterDenseNoise(LayerNoise):
    """Frozen noise σABᵀ on W of y = xWᵀ: σ(xB)Aᵀ, exactly."""

    def __init__(self, tensor: NoisyTensor, state: ReadingState, shape: tuple[int, int]) -> None:
        super().__init__(tensor, state)
        self._outer = OuterNoise(tensor, state, shape)
        self._every = np.arange(shape[0])[None]
        self._left: torch.Tensor | None = None

    def add(self, module: Any, x: torch.Tensor, output: torch.Tensor) -> int:
        if self._left is None:
            self._left = self._outer.left(self._every, output.device).to(output.dtype)
        inputs = x.reshape(output.shape[0], output.shape[1], -1)
        output.baddbmm_(inputs @ self._outer.right(output), self._left.mT, alpha=self.size)
        return 0


class TokenNoise(LayerNoise):
    """Gaussian noise on an embedding: one-hot inputs, so K_ts is 1 where tokens agree, else 0.

    Frozen noise is one row of numbers per token; fresh noise one per position; and where the
    weights wander, every token has a path that only its own occurrences see.
    """

    def __init__(self, tensor: NoisyTensor, state: ReadingState, scale: float, width: int) -> None:
        super().__init__(tensor, state)
        self.size *= abs(scale)
        self.normals = state.normals(tensor, width)
        self._paths: dict[tuple[int, int], tuple[int, torch.Tensor]] = {}

    def all_draws(self, output: torch.Tensor) -> torch.Tensor:
        """Positions may be embedded once for all draws, whose noise differs."""
        if output.shape[0] == 1:
            return output.expand(len(self.state.draws), *output.shape[1:]).contiguous()
        return super().all_draws(output)

    def add(self, module: Any, x: torch.Tensor, output: torch.Tensor) -> int:
        draws, count, _ = output.shape
        noise = self.state.noise
        if self.state.fresh:
            output.add_(self.normals.next(count, self.count, output.device), alpha=self.size)
            return count
        ids = x.reshape(-1, count).cpu().numpy()
        if self.state.frozen:
            output.add_(self.normals.numbered(ids, output.device), alpha=self.size)
            return 0
        fresh = self.normals.next(count, self.count, output.device)
        times = self.state.times[self.require_known(self.positions(x, count), count)].tolist()
        for b, i in np.ndindex(draws, count):
            key = (b, int(ids[b if len(ids) > 1 else 0, i]))
            value = fresh[b, i]
            if key in self._paths:
                then, before = self._paths[key]
                decay = noise.rho ** (times[i] - then)
                value = decay * before + math.sqrt(1.0 - decay * decay) * value
            self._paths[key] = times[i], value
            output[b, i].add_(value, alpha=self.size)
        return count


class OuterTokenNoise(LayerNoise):
    """Frozen noise σABᵀ on an embedding: a token's row of A, times Bᵀ."""

    def __init__(
        self, tensor: NoisyTensor, state: ReadingState, scale: float, shape: tuple[int, int]
    ) -> None:
        super().__init__(tensor, state)
        self.size *= scale
        self._outer = OuterNoise(tensor, state, shape)

    all_draws = TokenNoise.all_draws

    def add(self, module: Any, x: torch.Tensor, output: torch.Tensor) -> int:
        ids = x.reshape(-1, output.shape[1]).cpu().numpy()
        left = self._outer.left(ids, output.device).to(output.dtype)
        output.baddbmm_(left, self._outer.right(output).mT, alpha=self.size)
        return 0


class VectorNoise(LayerNoise):
    """Gaussian noise on a vector of weights: a few numbers, which are drawn as they are."""

    def __init__(self, tensor: NoisyTensor, state: ReadingState) -> None:
        super().__init__(tensor, state)
        self.normals = state.normals(tensor, tensor.tensor.numel())
        self._last: tuple[int, torch.Tensor] | None = None  # time and value of the path

    def kicks(self, x: torch.Tensor, output: torch.Tensor) -> tuple[torch.Tensor, int]:
        """δ/σ for the rows of the output: (k, m, d), or (k, 1, d) if frozen; and rows drawn."""
        device, count = output.device, output.shape[1]
        if self.state.frozen:
            if self._last is None:
                self._last = 0, self.normals.next(1, 0, device)
            return self._last[1], 0
        if self.state.fresh and count == self.state.times.size:
            return self.normals.next(count, self.count, device), count
        positions = self.positions(x, count)
        if positions is None and not (self.state.fresh and count < self.state.times.size):
            self.require_known(positions, count)
        drawn = count if positions is None else int(positions[-1] - positions[0]) + 1
        rows = self.normals.next(drawn, self.count, device)
        if not self.state.fresh:
            assert positions is not None
            rows = self._path(rows, self.state.times[positions[0] : positions[-1] + 1])
        if drawn < count:  # several rows at a position see the same weights
            assert positions is not None
            rows = rows[:, positions.tolist()]
        return rows, drawn

    def _path(self, fresh: torch.Tensor, times: NDArray[np.int64]) -> torch.Tensor:
        """The next values of the path, at these times."""
        before = None if self._last is None else self._last[0]
        steps, decay = self.state.steps(times, before, fresh.device)
        path = steps @ fresh
        if self._last is not None:
            path += decay * self._last[1]
        self._last = int(times[-1]), path[:, -1:].clone()
        return path


class ShiftNoise(VectorNoise):
    """Noise on a vector that is added to the output: a bias."""

    def add(self, module: Any, x: torch.Tensor, output: torch.Tensor) -> int:
        kicks, drawn = self.kicks(x, output)
        output.add_(kicks, alpha=self.size)
        return drawn


class GainNoise(VectorNoise):
    """Noise on a vector w that the layer multiplies its result with: the gain of a norm."""

    def __init__(self, tensor: NoisyTensor, state: ReadingState, gain: Gain) -> None:
        super().__init__(tensor, state)
        self._gain = gain
        self._inverse = None if gain.divisor is None else self.size / gain.divisor.float()
        self._frozen: torch.Tensor | None = None

    def add(self, module: Any, x: torch.Tensor, output: torch.Tensor) -> int:
        if self._inverse is None:
            self.state.paused = True
            try:
                response = self._gain.response(module, x).view_as(output)
            finally:
                self.state.paused = False
            kicks, drawn = self.kicks(x, output)
            output.addcmul_(response, kicks, value=self.size)
            return drawn
        change, drawn = self._frozen, 0
        if change is None:
            kicks, drawn = self.kicks(x, output)
            change = kicks * self._inverse
            if self.state.frozen:
                self._frozen = change
        result = output if self._gain.offset is None else output - self._gain.offset
        output.addcmul_(result, change)
        return drawn


def _path_steps(
    times: NDArray[np.int64], before: int | None, rho: float, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """An Ornstein–Uhlenbeck path at these times is steps @ Z + decay · (its value before)."""
    import torch

    apart = (times[:, None] - times).astype(np.float64)
    passed = np.diff(times, prepend=0 if before is None else before)
    fresh = np.sqrt(-np.expm1(2.0 * math.log(rho) * passed))
    if before is None:
        fresh[0] = 1.0
    steps = np.tril(rho ** np.maximum(apart, 0.0) * fresh)
    decay = np.zeros(times.size) if before is None else rho ** (times - before).astype(np.float64)
    return (
        torch.from_numpy(steps).to(device, torch.float32),
        torch.from_numpy(decay)[:, None].to(device, torch.float32),
    )


def _grown(
    kept: torch.Tensor | None, shape: tuple[int, int, int], device: torch.device
) -> torch.Tensor:
    """A buffer for at least so many rows, with the rows of the old one."""
    import torch

    draws, rows, width = shape
    capacity = max(rows, 64 if kept is None else 2 * kept.shape[1])
    buffer = torch.empty(draws, capacity, width, device=device)
    if kept is not None:
        buffer[:, : kept.shape[1]] = kept
    return buffer
