"""What every sampler of the engine can do: chains of one model, advanced together."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from thermo.errors import InvalidInputError

__all__ = ["Batch", "one_per_chain"]


class Batch(Protocol):
    """Chains of one model, each at its own signed β.

    What runs batches (threads, executors, checkpoints, tempering, annealing) knows no more of them
    than this. Two batches made with the same arguments give the same bits, however their sweeps are
    divided into calls.

    Attributes
    ----------
    model : object
        From `thermo.models`.
    beta : ndarray, shape (chains,)
        Any real numbers or ±inf, not NaN; may be set at any time: chains go on from where they are.
    spins : ndarray, shape (chains, n) or (chains, n, d)
        A copy of the configurations in the model's public form; may be set, to one for each chain
        or one for all. What the model does not take for spins, and any other shape, is an
        `InvalidInputError`.
    """

    model: Any

    @property
    def beta(self) -> np.ndarray: ...

    @beta.setter
    def beta(self, beta: np.ndarray) -> None: ...

    @property
    def spins(self) -> np.ndarray: ...

    @spins.setter
    def spins(self, spins: np.ndarray) -> None: ...

    def sweep(self, sweeps: int) -> None:
        """Advance every chain by so many sweeps."""

    def record(self, draws: int, every: int) -> dict[str, np.ndarray]:
        """Measure `draws` times, each after `every` more sweeps: name → (chains, draws) float64.

        ``"energy"`` is always there.
        """

    def state(self) -> dict[str, np.ndarray]:
        """Return a copy of everything that changes: spins, random streams, β."""

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go back to a `state`; what follows is bit for bit what followed it."""


def one_per_chain(spins: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return spins of the shape (chains, n) or (chains, n, d), one configuration given repeated.

    What they are is for the model to check (`states_of`, `checked_spins`).
    """
    if spins.shape not in (shape, shape[1:]):
        raise InvalidInputError(
            f"spins of shape {spins.shape} were given; accepted: {shape}, or {shape[1:]} for the "
            "same in all chains"
        )
    return np.broadcast_to(spins, shape)
