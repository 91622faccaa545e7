"""Exact references: closed forms, transfer matrices and exact numbers of states."""

from __future__ import annotations

from thermo.exact.density_of_states import ising_torus, ising_torus_counts
from thermo.exact.kaufman import square_torus
from thermo.exact.onsager import critical_beta, infinite_square, spontaneous_magnetization
from thermo.exact.transfer_matrix import clock_chain, ising_chain, potts_chain, spin_chain
from thermo.exact.vector_chain import heisenberg_chain, xy_chain

__all__ = [
    "ising_torus",
    "ising_torus_counts",
    "square_torus",
    "infinite_square",
    "critical_beta",
    "spontaneous_magnetization",
    "clock_chain",
    "heisenberg_chain",
    "ising_chain",
    "potts_chain",
    "spin_chain",
    "xy_chain",
]
