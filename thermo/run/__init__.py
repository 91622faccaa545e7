"""Runs: sampling at a list of β, and what comes out of it."""

from __future__ import annotations

from thermo.run.result import Run
from thermo.run.simulate import simulate

__all__ = ["Run", "simulate"]
