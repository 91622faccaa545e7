"""A model that reads on with weights that fluctuate while it reads."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from llm_bridge.brownian.copies import displaced_copy, kicks_along, require_cache, require_copies
from llm_bridge.brownian.function_space import FunctionSpaceNoise
from llm_bridge.brownian.noise import WeightNoise
from llm_bridge.brownian.noisy_memory import require_memory
from llm_bridge.brownian.overflow import naming_the_limit, require_numbers, watched
from llm_bridge.brownian.selection import selected_tensors
from llm_bridge.decoding.cached_reader import CachedReader
from llm_bridge.errors import UnsupportedNoiseError
from llm_bridge.models import LanguageModel
from thermo.arguments import one_of

__all__ = ["CopiesReader", "FunctionSpaceReader", "noisy_reader"]

# Draws 0, 1, … take the seeds (0, …), (1, …), as the sequences of a decoder do; this one none.
_DRAW = 2**32 - 1


class NoisyReader(CachedReader):
    """Reads on with noisy weights, as long as they give numbers.

    Outside of its passes the model is as it was.

    Parameters
    ----------
    model : LanguageModel
    noise : WeightNoise
    """

    def __init__(self, model: LanguageModel, noise: WeightNoise) -> None:
        super().__init__(model)
        self._model = model
        self._noise = noise

    def read(self, ids: Tensor) -> Tensor:
        """Logits (rows, V) of the token after these, ids (rows, n).

        Raises
        ------
        NoiseOverflowError
            The noise is so large that they are no numbers; the message says from which σ on.
        """
        new, before = ids.to(self._device), self._ids

        def read_all(noise: WeightNoise) -> None:
            text = new if before is None else torch.cat([before, new], dim=1)
            self._with(noise)._read(text)

        with naming_the_limit(self._noise, read_all):
            return self._read(new)

    def _read(self, ids: Tensor) -> Tensor:
        logits = super().read(ids)
        require_numbers(self._model, self._noise, logits.float().cpu().numpy())
        return logits

    def _with(self, noise: WeightNoise) -> NoisyReader:
        """A reader of this kind that has read nothing yet."""
        return type(self)(self._model, noise)


class FunctionSpaceReader(NoisyReader):
    """Reads on with noise in the outputs of the layers; each row of the batch has its own draw.

    Parameters
    ----------
    model : LanguageModel
    noise : WeightNoise
        Any that :class:`FunctionSpaceNoise` takes.
    draws : int
        Rows of the batch. They cannot be chosen among later (``keep``).
    """

    def __init__(self, model: LanguageModel, noise: WeightNoise, draws: int = 1) -> None:
        require_cache(model, "a text read on by machine='function_space'", "machine='copies'")
        super().__init__(model, noise)
        self._draws = draws
        self._reading = FunctionSpaceNoise(model, noise, draws=draws)

    def _pass(self, ids: Tensor) -> Any:
        if self._again:
            self._reading.hold()
        with self._reading:
            return super()._pass(ids)

    def _with(self, noise: WeightNoise) -> FunctionSpaceReader:
        return FunctionSpaceReader(self._model, noise, self._draws)


class CopiesReader(NoisyReader):
    """Reads on with noisy copies of the weights: any noise, one draw for all rows.

    Parameters
    ----------
    model : LanguageModel
    noise : WeightNoise
    """

    def __init__(self, model: LanguageModel, noise: WeightNoise) -> None:
        super().__init__(model, noise)
        self._chosen = selected_tensors(model.torch_module, noise)
        require_copies(model, self._chosen, noise, 1)
        require_memory("copies", model, self._chosen, 1, 1, 4, self._is_read_by)
        self._kicks = kicks_along(self._chosen, noise, _DRAW)
        self._weights: dict[str, Tensor] = {}

    def _is_read_by(self, machine: str) -> bool:
        """Whether another machine could read on with this noise."""
        if machine != "function_space":
            return False
        try:
            FunctionSpaceReader(self._model, self._noise)
        except UnsupportedNoiseError:
            return False
        return True

    def _pass(self, ids: Tensor) -> Any:
        correlation = self._noise.correlation
        together = correlation == "quenched" or (correlation == "ou" and self._again)
        for piece in [ids] if together else ids.split(1, dim=1):
            if correlation != "quenched" or not self._weights:
                self._weights = {}  # the old ones make room
                self._weights = displaced_copy(self._chosen, next(self._kicks), 1)
            named = {"input_ids": piece, "past_key_values": self._memory, "use_cache": True}
            with watched(self._module, self._noise):
                answer = torch.func.functional_call(
                    self._module, self._weights, (), named | self._last_row_only
                )
            self._memory = getattr(answer, "past_key_values", None)
        return answer


def noisy_reader(
    model: LanguageModel, noise: WeightNoise, machine: str = "auto"
) -> FunctionSpaceReader | CopiesReader:
    """A reader of one text by one draw of the weights, or one path of them along the text.

    What the model remembers of a token (its key and value) was made by the weights of that time,
    and stays. Where the text outgrows the context, the newer half is read again: frozen weights are
    the same, wandering ones those of the present for all of it, fresh ones fresh for each token.

    Parameters
    ----------
    model : LanguageModel
    noise : WeightNoise
    machine : {"auto", "function_space", "copies"}
        See :func:`llm_bridge.brownian.sample_logits`. Auto: in function space where the noise has
        that form, whatever the length of the text, so that a longer text begins like a shorter
        one; else by copies. In function space, the t-th token takes time in proportion to t, and t
        numbers more of memory for every input and output: for texts of thousands of tokens, frozen
        weights are better copied.

    Raises
    ------
    InvalidInputError
        Places that match nothing, an unknown machine, or not enough memory for a copy.
    UnsupportedNoiseError
        The machine cannot draw this noise on this model.
    """
    one_of(machine, "machine", ("auto", "function_space", "copies"))
    if machine != "copies":
        try:
            return FunctionSpaceReader(model, noise)
        except UnsupportedNoiseError:
            if machine == "function_space":
                raise
    return CopiesReader(model, noise)
