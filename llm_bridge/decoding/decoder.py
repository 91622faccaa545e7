"""A decoder: which β, which filters, which tokens; and one sequence being decoded with it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from llm_bridge.decoding.candidates import Candidates
from llm_bridge.decoding.filters import Filter, as_filters
from llm_bridge.decoding.sampling import draw
from llm_bridge.decoding.schedules import Constant, Schedule, Step, as_schedule
from llm_bridge.decoding.signed_softmax import as_mask, entropy_of
from thermo.arguments import checked_seed
from thermo.errors import InvalidInputError

__all__ = ["Decoded", "Decoder", "DecoderRun"]


@dataclass(frozen=True, eq=False)
class Decoder:
    """How tokens are drawn from logits: a schedule of β, filters, and the tokens that exist.

    For every token, in this order: whatever an engine did to the logits before (penalties, bias);
    masked and invalid tokens are taken out; the schedule says β; the filters cut candidates away,
    one after another; a token is drawn from p ∝ exp(βz) over those that are left.

    Parameters
    ----------
    schedule : Schedule or float
        A number is a constant β.
    filters : sequence of Filter
        Applied in this order.
    valid : array_like of bool, shape (V,), optional
        The tokens that exist, from `llm_bridge.decoding.masks`. Default: all of the logits' row.
        At β ≤ 0 the rows of a padded vocabulary win unless they are taken out here.

    Examples
    --------
    >>> run = Decoder(-1.0).begin(seed=1)
    >>> decoded = run.distribution([2.0, 1.0, 0.0])
    >>> [round(p, 3) for p in decoded.log_probabilities.exp().tolist()]
    [0.09, 0.245, 0.665]
    >>> token = run.draw(decoded)
    >>> run.observe(token)
    >>> run.tokens == [token]
    True
    """

    schedule: Schedule | float
    filters: Sequence[Filter] = ()
    valid: Any = None

    def __post_init__(self) -> None:
        filters = as_filters(self.filters)
        valid = self.valid
        if valid is not None:
            valid = as_mask(valid).clone()
            if not valid.any():
                raise InvalidInputError("valid excludes every token; at least one must be left.")
        object.__setattr__(self, "schedule", as_schedule(self.schedule))
        object.__setattr__(self, "filters", filters)
        object.__setattr__(self, "valid", valid)

    @property
    def constant_beta(self) -> float | None:
        """β, if it is all this decoder does; None with filters or another schedule."""
        if isinstance(self.schedule, Constant) and not self.filters:
            return self.schedule.value
        return None

    def begin(self, seed: int | np.random.SeedSequence) -> DecoderRun:
        """Start on a sequence.

        Parameters
        ----------
        seed : int or numpy.random.SeedSequence
            Of the sequence; sequences of one batch take the children of one SeedSequence.
        """
        return DecoderRun(self, seed)


@dataclass(frozen=True, eq=False)
class Decoded:
    """The distribution a token is drawn from.

    Attributes
    ----------
    log_probabilities : torch.Tensor of float64, shape (V,)
        ln p; −inf for tokens that cannot come.
    beta : float
        From the schedule.
    candidates : Candidates
        The logits and the tokens that were open before the filters.
    """

    log_probabilities: Tensor
    beta: float
    candidates: Candidates

    @cached_property
    def entropy(self) -> float:
        """Entropy of this distribution, in nats."""
        return float(entropy_of(self.log_probabilities))

    @cached_property
    def model_entropy(self) -> float:
        """Entropy of the model's own distribution (β = 1, no filters, same mask), in nats."""
        return self.candidates.entropy()

    def log_probability(self, token: int) -> float:
        """ln p of a token in this distribution."""
        return float(self.log_probabilities[token])

    def model_log_probability(self, token: int) -> float:
        """ln p of a token in the model's own distribution (β = 1, no filters, same mask)."""
        return float(self.candidates.log_probabilities()[token])


class DecoderRun:
    """One sequence being decoded: the states of schedule and filters, and the random stream.

    For every token: `distribution` of the logits, `draw`, `observe` what came. An engine that
    draws by itself calls only the first and the last. `distribution` changes nothing: called
    twice before `observe` it answers the same.

    Parameters
    ----------
    decoder : Decoder
    seed : int or numpy.random.SeedSequence

    Attributes
    ----------
    decoder : Decoder
    tokens : list of int
        Observed so far.
    """

    def __init__(self, decoder: Decoder, seed: int | np.random.SeedSequence) -> None:
        if not isinstance(seed, np.random.SeedSequence):
            seed = np.random.SeedSequence(checked_seed(seed))
        # By spawn key, not by spawn(): that counts in the object, and the same seed given twice
        # would be another stream.
        draws, chances = (
            np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, i)) for i in range(2)
        )
        self.decoder = decoder
        self.tokens: list[int] = []
        self._draws = np.random.default_rng(draws)
        self._chances = np.random.default_rng(chances)
        self._schedule_state = as_schedule(decoder.schedule).begin()
        self._filter_states = tuple(item.begin() for item in decoder.filters)
        self._chance = self._chances.random(len(decoder.filters))
        self._pending: tuple[Any, float, list[Candidates]] | None = None

    def distribution(self, logits: Any) -> Decoded:
        """The distribution of the next token.

        Parameters
        ----------
        logits : torch.Tensor or array_like, shape (V,)
            Of the model at this position, after the engine's own penalties.

        Returns
        -------
        Decoded

        Raises
        ------
        InvalidInputError
            Logits of another shape, NaN, +inf, or every token masked.
        """
        shape = tuple(getattr(logits, "shape", np.shape(logits)))
        if len(shape) != 1:
            raise InvalidInputError(f"logits have shape {shape}; one row, (V,), is needed.")
        candidates = Candidates.of(logits, self.decoder.valid)
        step = Step(len(self.tokens), candidates, self.tokens)
        beta, schedule_state = as_schedule(self.decoder.schedule).beta(self._schedule_state, step)
        before = []
        left = candidates
        for item, state, chance in zip(
            self.decoder.filters, self._filter_states, self._chance, strict=True
        ):
            before.append(left)
            left = item.apply(left, beta, state, chance)
        self._pending = schedule_state, beta, before
        return Decoded(left.log_probabilities(beta), beta, candidates)

    def draw(self, decoded: Decoded) -> int:
        """Draw a token id from a distribution; each call takes the next number of the stream."""
        return int(draw(decoded.log_probabilities, self.uniform()))

    def uniform(self) -> Tensor:
        """The next uniform number of the stream that tokens are drawn with, shape ()."""
        return torch.tensor(self._draws.random(), dtype=torch.float64)

    def observe(self, token: int) -> None:
        """Take note of the token that came, drawn here or by an engine.

        Schedules and filters move on from the last `distribution`; a token that came without one
        (a prompt, an engine's own choice) only counts as a token.
        """
        if self._pending is not None:
            self._schedule_state, beta, before = self._pending
            self._filter_states = tuple(
                item.after(state, candidates, beta, token)
                for item, state, candidates in zip(
                    self.decoder.filters, self._filter_states, before, strict=True
                )
            )
            self._chance = self._chances.random(len(self.decoder.filters))
            self._pending = None
        self.tokens.append(int(token))

    def copy(self) -> DecoderRun:
        """The same run, to go on from here in two ways; the copy draws the same numbers."""
        twin = copy.copy(self)
        twin.tokens = list(self.tokens)
        twin._draws = copy.deepcopy(self._draws)
        twin._chances = copy.deepcopy(self._chances)
        return twin
