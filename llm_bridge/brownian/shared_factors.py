"""Layers that read the same tensor share one factor: query, key and value, or gate and up."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from llm_bridge.brownian.position_factor import PositionFactor

if TYPE_CHECKING:
    import torch

__all__ = ["LayerInputs", "SharedFactors"]


class _History:
    """The inputs that some layers have read, call by call, and what the last call added."""

    def __init__(self, factor: PositionFactor) -> None:
        self.factor = factor
        self.calls = 0
        self.rows: torch.Tensor | None = None
        self._last: ref[torch.Tensor] | None = None
        self._version = -1

    def read(self, x: torch.Tensor, inputs: torch.Tensor, times: NDArray[np.int64]) -> None:
        self.rows = self.factor.append(inputs, times)
        self.calls += 1
        self._last, self._version = ref(x), _version(x)

    def ends_with(self, x: torch.Tensor) -> bool:
        """Whether the last call read this very tensor, which nobody has written to since."""
        return self._last is not None and self._last() is x and self._version == _version(x)


class LayerInputs:
    """What one layer has read so far: a history, which it may share, up to its own last call."""

    def __init__(self) -> None:
        self.history: _History | None = None
        self.calls = 0
        self.count = 0  # positions


class SharedFactors:
    """The factors of all layers of a model.

    Parameters
    ----------
    rho : float
        See `PositionFactor`.
    keep : bool
        See `PositionFactor`. If not, a layer is called once, and its factor lives until two
        other tensors have been read.
    """

    def __init__(self, rho: float, *, keep: bool) -> None:
        self._rho = rho
        self._keep = keep
        # Two: where attention and MLP read the same tensor, attention's own output comes between.
        self._recent: deque[_History] = deque(maxlen=2)

    def rows(
        self,
        layer: LayerInputs,
        x: torch.Tensor,
        inputs: torch.Tensor,
        times: NDArray[np.int64],
    ) -> torch.Tensor:
        """The new rows of a layer's factor, computed unless another layer has just done so.

        Parameters
        ----------
        layer : LayerInputs
            Moves on.
        x : torch.Tensor
            What the layer was called with: layers share a factor as long as they are called with
            the same objects.
        inputs : torch.Tensor, shape (k, m, d)
            The same numbers.
        times : ndarray, shape (m,)

        Returns
        -------
        torch.Tensor of float32, shape (k, m, t + m)
        """
        history = layer.history
        if history is None:
            for recent in self._recent:
                if recent.calls == 1 and recent.ends_with(x):
                    history = recent
            if history is None:
                history = _History(PositionFactor(self._rho, keep=self._keep))
        elif history.calls > layer.calls and not (
            history.calls == layer.calls + 1 and history.ends_with(x)
        ):  # those it shared with have gone another way
            history = _History(history.factor.fork(layer.count))
            history.calls = layer.calls
        if history.calls == layer.calls:
            history.read(x, inputs, times)
            self._recent.append(history)
        if self._keep:
            layer.history = history
        layer.calls += 1
        layer.count += inputs.shape[1]
        assert history.rows is not None
        return history.rows


def _version(x: torch.Tensor) -> int:
    """How often a tensor has been written to, as far as torch counts."""
    return 0 if x.is_inference() else x._version
