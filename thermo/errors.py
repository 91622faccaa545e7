"""Errors and warnings that a user can mend, one class per failure."""

from __future__ import annotations

__all__ = [
    "SpinlogitError",
    "InvalidInputError",
    "UnboundedSpectrumError",
    "TruncatedSpectrumError",
    "EnergyOutOfRangeError",
    "NotConvergedError",
    "CheckpointError",
    "RunFileError",
    "SpinlogitWarning",
    "TautologyWarning",
    "EquilibrationWarning",
    "UncertaintyWarning",
    "CheckpointWarning",
    "WorkerWarning",
]


class SpinlogitError(Exception):
    """Base of every error raised on purpose by this project.

    The command line prints the message on one line and ends with status 2.
    """


class InvalidInputError(SpinlogitError, ValueError):
    """An argument has a wrong value, shape or type; the message says what is accepted."""


class UnboundedSpectrumError(SpinlogitError, ValueError):
    """β ≤ 0 was asked of a system whose energy has no upper bound."""

    reason = (
        "with β ≤ 0 every higher level is at least as likely as the one below, the partition "
        "function diverges and no equilibrium exists (kinetic energy and oscillators have no T < 0)"
    )

    def __init__(self, beta: float, system: str = "this system") -> None:
        super().__init__(
            f"β = {beta:g} was asked of {system}, whose energy has no upper bound: {self.reason}. "
            "Accepted: β > 0."
        )
        self.beta = beta
        self.system = system

    def __reduce__(self) -> tuple[type[UnboundedSpectrumError], tuple[float, str]]:
        return type(self), (self.beta, self.system)  # a worker process must be able to raise it


class TruncatedSpectrumError(SpinlogitError, ValueError):
    """A spectrum listed only in part still holds weight above where the list ends."""


class EnergyOutOfRangeError(SpinlogitError, ValueError):
    """An energy lies outside what any β of either sign can give."""


class NotConvergedError(SpinlogitError, RuntimeError):
    """An iteration ended before its tolerance was met; the message says how far it came."""


class CheckpointError(SpinlogitError, ValueError):
    """A checkpoint directory holds something else than the run that was asked for."""


class RunFileError(SpinlogitError, ValueError):
    """A run file cannot be read: damaged, of another program, or of a later version."""


class SpinlogitWarning(UserWarning):
    """Base of every warning of this project."""


class TautologyWarning(SpinlogitWarning):
    """Populations are fitted against the very levels they were computed from."""


class EquilibrationWarning(SpinlogitWarning):
    """A run does not look equilibrated; its errors are not to be trusted."""


class UncertaintyWarning(SpinlogitWarning):
    """An error is a bound, or no error is known: what was sampled does not tell; it says why."""


class CheckpointWarning(SpinlogitWarning):
    """A file of a checkpoint is damaged; the run goes on from what came before it."""


class WorkerWarning(SpinlogitWarning):
    """Workers died or could not start; others did their work, with the same results."""
