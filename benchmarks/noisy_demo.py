"""The demo model under weight noise: what is predicted of it, and what perturbed copies measure.

What `weight_noise_theory.py` and `weight_noise_ranks.py` share.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from measure import machine
from predictions import Experiment, Line, Rule, print_lines, write_lines
from scipy.optimize import brentq
from scipy.special import softmax

from llm_bridge.brownian import (
    EffectiveTemperature,
    WeightNoise,
    effective_temperature,
    sample_logits,
)
from llm_bridge.brownian.second_order import SecondOrder, second_order
from llm_bridge.models import LanguageModel, load_model
from llm_bridge.spectrum import thermodynamics

__all__ = ["SEED", "Laboratory", "Part", "Settings", "run", "within"]

SEED = 6
ROUGH = 0.2  # errors of more than this share prove nothing


@dataclass(frozen=True)
class Settings:
    """How much is read and drawn."""

    positions: int = 96
    pairs: int = 24
    scanned: int = 39  # tensors, one by one
    races: int = 20_000


class Laboratory:
    """The demo model, two pieces of text it was not trained on, and what has been predicted."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.model: LanguageModel = load_model("demo")
        text = self.model.held_out_text
        assert text is not None
        self.text = text
        ids = self.model.encode(text)
        n = settings.positions
        self.halves = ids[:n], ids[n : 2 * n]
        self.theory: Callable[..., SecondOrder] = cache(self._theory)
        self.clean: Callable[[int], np.ndarray] = cache(self._clean)
        self.normals: Callable[[], np.ndarray] = cache(self._normals)

    def _clean(self, half: int) -> np.ndarray:
        return self.model.logits(self.halves[half])

    def noise(self, where: str, law: str = "gaussian", sigma: float = 1.0) -> WeightNoise:
        return WeightNoise(sigma, where=where, law=law, seed=SEED)

    def _theory(self, where: str, law: str = "gaussian", half: int = 0) -> SecondOrder:
        """Predictions from as many directions as there will be antithetic pairs: the same ones."""
        noise = self.noise(where, law)
        return second_order(self.model, self.halves[half], noise, probes=self.settings.pairs)

    def drawn(
        self, where: str, sigma: float, law: str = "gaussian", half: int = 0
    ) -> EffectiveTemperature:
        """Measured: perturbed copies of the weights, in antithetic pairs."""
        noise = self.noise(where, law, sigma)
        draws = 2 * self.settings.pairs
        noisy = sample_logits(self.model, self.halves[half], noise, draws, "copies")
        return effective_temperature(self.clean(half), noisy, self.model.valid)

    def pair_energies(self, where: str, sigma: float, law: str = "gaussian") -> np.ndarray:
        """Mean energy ⟨−z⟩ of each antithetic pair of noisy models, in the clean levels: (pairs,).

        With `temperature_of` their mean is the T of `drawn`; here every pair can be left out.
        """
        noise, clean = self.noise(where, law, sigma), self.clean(0).astype(float)
        draws = 2 * self.settings.pairs
        noisy = sample_logits(self.model, self.halves[0], noise, draws, "copies")
        valid = self.model.valid
        energies = [-(softmax(z[:, valid], axis=1) * clean[:, valid]).sum(1).mean() for z in noisy]
        return np.array(energies, dtype=float).reshape(-1, 2).mean(axis=1)

    def temperature_of(self, energy: float) -> float:
        """T at which softmax has this mean energy."""

        def surplus(beta: float) -> float:
            state = thermodynamics(self.clean(0), beta, self.model.valid)
            return float(state.internal_energy.mean()) - energy

        return 1 / brentq(surplus, 0.2, 5.0, xtol=1e-12)

    def sizes(self, half: int = 0) -> np.ndarray:
        """Standard deviation (N, 1) of each logit under noise of σ = 1 on the head: rms(W)·|h|."""
        theory = self.theory("head", half=half)
        p = softmax(theory.logits, axis=1)
        common = 1 - 2 * p + (p**2).sum(axis=1, keepdims=True)
        return np.sqrt(theory.spread / common).mean(axis=1, keepdims=True)

    def _normals(self) -> np.ndarray:
        shape = (self.settings.pairs, *self.clean(0).shape)
        return np.random.default_rng(SEED).standard_normal(shape, dtype=np.float32)

    def head(self, sigma: float, half: int = 0, *, antithetic: bool = True) -> np.ndarray:
        """Logits under noise on the head, drawn as logits: 2·pairs of them.

        Each position has draws of its own. Frozen weights would correlate positions, but all that
        is measured here are averages over positions of what happens at one, the same for both.
        """
        change = (sigma * self.sizes(half)).astype(np.float32) * self.normals()
        clean = self.clean(half)
        if not antithetic:
            other = np.random.default_rng(SEED + 1).standard_normal(change.shape, dtype=np.float32)
            other *= (sigma * self.sizes(half)).astype(np.float32)
            return np.concatenate([clean + change, clean + other])
        return np.stack([clean + change, clean - change], axis=1).reshape(-1, *clean.shape)

    def head_fit(self, sigma: float, half: int = 0) -> EffectiveTemperature:
        """The temperature of noise on the head."""
        return effective_temperature(self.clean(half), self.head(sigma, half), self.model.valid)


def within(share: float = 0.05, *, paired: bool = False) -> Rule:
    """Within three errors, or within what orders beyond the leading one may add."""
    return Rule(within=share, rough=ROUGH, paired=paired)


Part = Callable[[Laboratory, dict[str, Any]], Iterator[Line]]


def run(
    script: str,
    title: str,
    experiments: Mapping[int, tuple[Experiment, Part]],
    description: str | None,
    arguments: Sequence[str] | None = None,
) -> None:
    """Command line of the two scripts: run the experiments, print and write down their lines."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--only", nargs="+", type=int, choices=experiments, help="by number")
    parser.add_argument("--tiny", action="store_true", help="a small setting, to try it out")
    options = parser.parse_args(arguments)
    import torch

    torch.set_num_threads(1)
    settings = Settings()
    if options.tiny:
        settings = replace(settings, positions=24, pairs=8, scanned=2, races=2000)
    lab = Laboratory(settings)
    lines: list[Line] = []
    record: dict[str, Any] = {}
    for number in options.only or experiments:
        start = time.process_time()
        new = list(experiments[number][1](lab, record))
        lines += new
        print_lines(f"Experiment {number} ({time.process_time() - start:.0f} s)", new)
    write_lines(
        options.json,
        title,
        f"The demo model on {settings.positions} positions of held-out text, "
        f"{settings.pairs} antithetic pairs of draws, predictions from the same directions in "
        "weight space. σ relative to the rms of each tensor; entropies in nats per position. "
        f"Confirmed: within {Rule().errors:g} errors; where higher orders or other approximations "
        f"show, within the share that is stated. Too rough: an error of more than {ROUGH:.0%}.",
        lines,
        {number: each for number, (each, _) in experiments.items()},
        script,
        machine("torch", "transformers"),
        **record,
    )
