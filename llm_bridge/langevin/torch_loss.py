"""Small torch networks as losses: all chains in one call, weights as one vector."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from llm_bridge.errors import MissingExtraError
from llm_bridge.langevin.loss import Array, Loss
from thermo.errors import InvalidInputError

if TYPE_CHECKING:
    import torch

__all__ = ["TorchLoss"]


class TorchLoss(Loss):
    r"""The mean loss of a torch module over its data, in float64.

    .. math:: L(w) = \ell(f_w(x),\, y)

    Parameters
    ----------
    module : torch.nn.Module
        It is copied: its own weights are never touched. It must compute one batch of inputs like
        any other (no dropout, no running averages: it is used in evaluation mode).
    loss : callable
        ``loss(outputs, targets)``: a scalar tensor, the *mean* over the rows, such as
        ``torch.nn.functional.cross_entropy``.
    inputs, targets : torch.Tensor, shape (n, …)
        Floating-point numbers are converted to float64.
    bounded_above : bool
        Whether the loss cannot exceed some value, so that β ≤ 0 is possible.

    Raises
    ------
    InvalidInputError
        A module without parameters, or data of different lengths.
    MissingExtraError
        torch is not installed.

    Notes
    -----
    The Laplacian is the trace of the whole Hessian, d² numbers for each chain: for some hundreds of
    weights.

    Examples
    --------
    >>> import torch
    >>> module = torch.nn.Linear(1, 1, bias=False)
    >>> x, y = torch.ones(4, 1), torch.zeros(4, 1)
    >>> loss = TorchLoss(module, torch.nn.functional.mse_loss, x, y)
    >>> loss.value_and_gradient(np.array([[3.0]])), loss.laplacian(np.array([[3.0]]))
    ((array([9.]), array([[6.]])), array([2.]))
    """

    def __init__(
        self,
        module: torch.nn.Module,
        loss: Callable[[Any, Any], Any],
        inputs: torch.Tensor,
        targets: torch.Tensor,
        *,
        bounded_above: bool = False,
    ) -> None:
        try:
            import torch
        except ImportError as error:
            raise MissingExtraError("torch", "a network's loss") from error
        self._torch = torch
        self._module = copy.deepcopy(module).double().eval()
        parameters = dict(self._module.named_parameters())
        if not parameters:
            raise InvalidInputError("module has no parameters; accepted: a module with weights")
        if not len(inputs) == len(targets) > 0:
            raise InvalidInputError(
                f"inputs has {len(inputs)} rows and targets {len(targets)}; accepted: as many"
            )
        self._inputs, self._targets = (
            x.double() if x.is_floating_point() else x for x in (inputs, targets)
        )
        self._shapes = {name: tensor.shape for name, tensor in parameters.items()}
        self._loss = loss
        self.dimension = sum(tensor.numel() for tensor in parameters.values())
        self.samples = len(inputs)
        self.bounded_above = bounded_above
        self._start = torch.cat([tensor.detach().ravel() for tensor in parameters.values()])
        from torch.func import grad, grad_and_value, jacrev, vmap

        self._slopes = vmap(grad_and_value(self._of_one), in_dims=(0, None))
        self._slopes_of_rows = vmap(grad_and_value(self._of_one), in_dims=(0, 0))
        # Twice in reverse: forward mode loads parts of torch that warn of their own deprecation.
        self._curvature = vmap(jacrev(grad(self._of_one)), in_dims=(0, None), chunk_size=16)

    def __repr__(self) -> str:
        return f"TorchLoss of {type(self._module).__name__} with {self.dimension} weights"

    def start(self) -> Array:
        """Return the weights the module was given with, (d,), ready to be a centre."""
        return self._start.numpy().copy()

    def value_and_gradient(
        self, weights: Array, rows: NDArray[np.intp] | None = None
    ) -> tuple[Array, Array]:
        flat = self._torch.from_numpy(np.ascontiguousarray(weights))
        if rows is None:
            gradient, value = self._slopes(flat, None)
        else:
            gradient, value = self._slopes_of_rows(flat, self._torch.from_numpy(rows))
        return value.detach().numpy(), gradient.detach().numpy()

    def laplacian(self, weights: Array) -> Array:
        matrices = self._curvature(self._torch.from_numpy(np.ascontiguousarray(weights)), None)
        return matrices.diagonal(dim1=-2, dim2=-1).sum(-1).detach().numpy()

    def _of_one(self, flat: torch.Tensor, rows: torch.Tensor | None) -> torch.Tensor:
        sizes = [shape.numel() for shape in self._shapes.values()]
        parts = flat.split(sizes)
        weights = {
            name: part.reshape(shape)
            for (name, shape), part in zip(self._shapes.items(), parts, strict=True)
        }
        inputs = self._inputs if rows is None else self._inputs[rows]
        targets = self._targets if rows is None else self._targets[rows]
        return self._loss(self._torch.func.functional_call(self._module, weights, inputs), targets)
