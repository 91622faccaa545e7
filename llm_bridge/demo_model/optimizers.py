"""Muon for the hidden matrices, AdamW for embeddings, head and norms; one rate schedule."""

from __future__ import annotations

from torch import nn, optim

__all__ = ["build_optimizers", "rate_factor", "set_rates"]


def build_optimizers(
    model: nn.Module, *, matrix_rate: float, table_rate: float, decay: float
) -> list[optim.Optimizer]:
    """Two optimisers over all parameters of the model.

    Parameters
    ----------
    model : torch.nn.Module
    matrix_rate : float
        Peak step of Muon: each hidden matrix moves by an orthogonalised momentum of this size.
    table_rate : float
        Peak step of AdamW for embeddings, output head and norms.
    decay : float
        Share of itself that a weight loses per step at the peak rate, equal for both optimisers
        (their usual weight decay times their rate); norms do not decay.

    References
    ----------
    K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024.
    I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", ICLR 2019.
    """
    hidden, tables, norms = [], [], []
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2:
            norms.append(parameter)
        elif "embed_tokens" in name or "lm_head" in name:
            tables.append(parameter)
        else:
            hidden.append(parameter)
    optimizers: list[optim.Optimizer] = [
        optim.Muon(hidden, lr=matrix_rate, weight_decay=decay / matrix_rate, momentum=0.95),
        optim.AdamW(
            [
                {"params": tables, "weight_decay": decay / table_rate},
                {"params": norms, "weight_decay": 0.0},
            ],
            lr=table_rate,
            betas=(0.9, 0.95),
            fused=True,
        ),
    ]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers


def rate_factor(done: float, warm_up: float) -> float:
    """Share of the peak rate when a share `done` of the budget is spent: up, then down to zero.

    Examples
    --------
    >>> rate_factor(0.0, 0.02), rate_factor(0.02, 0.02), rate_factor(1.0, 0.02)
    (0.0, 1.0, 0.0)
    """
    return max(0.0, min(done / warm_up, (1.0 - done) / (1.0 - warm_up)))


def set_rates(optimizers: list[optim.Optimizer], factor: float) -> None:
    """Scale the peak rate of every parameter group by `factor`."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * factor
