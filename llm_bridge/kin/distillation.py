"""A student taught by a heated teacher: temperature as a training signal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from llm_bridge.decoding.signed_softmax import signed_log_probabilities
from thermo.arguments import checked_seed, finite_number, whole_number
from thermo.errors import InvalidInputError

__all__ = ["Distilled", "distil"]


@dataclass(frozen=True)
class Distilled:
    """How far a student got.

    Attributes
    ----------
    divergence : float
        KL(what it was taught ‖ student at student_beta), in nats per position. What it was taught
        is the teacher at β, or the frequencies of the sampled tokens.
    slope : float
        Largest derivative of the loss that is left; 0 at the optimum.
    """

    divergence: float
    slope: float


def distil(
    student: nn.Module,
    x: Tensor,
    teacher: ArrayLike,
    *,
    beta: float,
    student_beta: float = 1.0,
    observations: int | None = None,
    prior_precision: float = 0.0,
    seed: int = 0,
    steps: int = 500,
) -> Distilled:
    r"""Train a student, in place, to predict what its teacher says at a temperature.

    With the teacher's logits z and the student's y, it makes

    .. math:: \frac1N \sum_t \mathrm{KL}\big(\mathrm{softmax}(\beta z_t) \,\|\,
              \mathrm{softmax}(\beta_s y_t)\big) + \frac{\gamma}{2n} |w|^2

    small, by L-BFGS with all data. A student that can do what the teacher does learns
    :math:`y = (\beta/\beta_s) z`: read as it is, it has the temperature :math:`\beta_s/\beta`. With
    :math:`\beta_s = \beta`, as distillation is usually done, it has the teacher's own, whatever β.

    A student that cannot is *hotter* than what it was taught, by exactly what it misses. If it can
    scale its own logits (the last layer is linear) and γ = 0, its loss is stationary under scaling,
    and so at the optimum

    .. math:: H(\text{student}) = H(\text{teacher at } \beta) + \mathrm{KL},

    all of them means over the training data (:math:`\beta_s = 1`).

    Parameters
    ----------
    student : torch.nn.Module
        Maps x to logits (N, V). float64 lets it come closer to the optimum.
    x : Tensor, shape (N, ...)
    teacher : array_like or Tensor, shape (N, V)
        The teacher's logits, in nats.
    beta : float
        Of the teacher: any finite real number. The student of a teacher below zero learns what the
        teacher holds least likely.
    student_beta : float
        β_s while it learns, not 0.
    observations : int, optional
        It sees so many tokens per position, drawn from the teacher at β, instead of the
        probabilities themselves: n = N·observations. Students of different seeds then disagree.
    prior_precision : float
        γ ≥ 0. Without it, a token that is never drawn drives its logit to −∞.
    seed : int
        Of the drawn tokens.
    steps : int
        At most so many steps; it stops before where nothing changes any more.

    Returns
    -------
    Distilled

    Raises
    ------
    InvalidInputError
        β not finite, β_s = 0, γ < 0, logits that are not numbers, or shapes that do not fit.

    References
    ----------
    G. Hinton, O. Vinyals and J. Dean, *Distilling the knowledge in a neural network*,
    arXiv:1503.02531 (2015). That a model with a free scale of logits has an entropy equal to its
    cross entropy is the matching of moments of maximum likelihood.

    Examples
    --------
    >>> from llm_bridge.brownian import effective_temperature
    >>> from llm_bridge.kin import distil
    >>> with torch.random.fork_rng():
    ...     _ = torch.manual_seed(1)
    ...     x, teacher = torch.randn(100, 4).double(), torch.nn.Linear(4, 6).double()
    ...     student = torch.nn.Linear(4, 6).double()
    >>> z = teacher(x).detach()
    >>> done = distil(student, x, z, beta=0.5)
    >>> fit = effective_temperature(z, student(x).detach()[None])
    >>> print(f"T = {fit.temperature:.3f}, disagreement = {abs(fit.disagreement):.3f}")
    T = 2.000, disagreement = 0.000
    """
    beta, own = finite_number(beta, "beta"), finite_number(student_beta, "student_beta")
    precision = finite_number(prior_precision, "prior_precision")
    if own == 0 or precision < 0:
        name, value = ("student_beta", own) if own == 0 else ("prior_precision", precision)
        accepted = "any finite number but 0" if own == 0 else "a finite number ≥ 0"
        raise InvalidInputError(f"{name} = {value:g} was given; accepted: {accepted}")
    steps, seed = whole_number(steps, "steps", 1), checked_seed(seed)
    log_p = signed_log_probabilities(teacher, beta)
    with torch.no_grad():
        given = student(x)
    if log_p.shape != given.shape or log_p.ndim != 2:
        raise InvalidInputError(
            f"the teacher's logits have shape {tuple(log_p.shape)}, the student's "
            f"{tuple(given.shape)}; the same (N, V) is accepted."
        )
    p = log_p.exp()
    count = len(p)
    if observations is not None:
        number = whole_number(observations, "observations", 1)
        counts = np.random.default_rng(seed).multinomial(number, _normalised(p))
        p = torch.from_numpy(counts / number).to(p.device)
        count *= number
    p = p.to(given.dtype)
    entropy = -torch.special.xlogy(p, p).sum(dim=-1).mean()
    weights = [w for w in student.parameters() if w.requires_grad]
    descent = torch.optim.LBFGS(
        weights, max_iter=steps, tolerance_grad=1e-12, tolerance_change=1e-15, history_size=50,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def divergence() -> Tensor:
        log_q = torch.log_softmax(own * student(x), dim=-1)
        return -(p * log_q).sum(dim=-1).mean() - entropy

    def loss() -> Tensor:
        descent.zero_grad()
        value = divergence()
        if precision > 0:
            value = value + 0.5 * precision / count * sum(w.square().sum() for w in weights)
        value.backward()
        return value

    descent.step(loss)
    loss()
    slope = max(float(w.grad.abs().max()) for w in weights if w.grad is not None)
    descent.zero_grad()
    with torch.no_grad():
        return Distilled(float(divergence()), slope)


def _normalised(p: Tensor) -> np.ndarray:
    """Rows of float64 that sum to 1 as closely as numpy asks for."""
    rows = p.double().cpu().numpy()
    return np.asarray(rows / rows.sum(axis=-1, keepdims=True))
