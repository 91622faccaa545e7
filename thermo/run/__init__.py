"""Runs: sampling at a list of β (`thermo.run.simulate`), and what comes out of it."""

from __future__ import annotations

from thermo.run.result import Run

__all__ = ["Run"]
