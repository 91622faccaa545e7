"""Signed temperature in llama-cpp-python."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_bridge.decoding.adapters.followed_text import FollowedText, as_decoder
from llm_bridge.decoding.decoder import Decoder
from llm_bridge.decoding.schedules import Schedule
from thermo.arguments import checked_seed
from thermo.errors import InvalidInputError

__all__ = ["SignedTemperature"]


class SignedTemperature:
    """A logits processor for ``llama_cpp.Llama``.

    Parameters
    ----------
    decoder : Decoder, Schedule or float
        A number is a constant β of either sign.
    seed : int
        Of the filters that throw dice (XTC). The tokens are drawn by llama.cpp: seed those with
        the ``seed`` of the call.

    Raises
    ------
    InvalidInputError
        While generating: NaN among the logits; a schedule or filter beside a draft model; a
        ``logit_bias``, beside which llama-cpp-python 0.3.36 drops all processors without a word.

    Notes
    -----
    Use it as ``llama(prompt, **processor.settings())``. Penalties of llama.cpp act after this
    processor, on log-probabilities, and are switched off by the settings; a grammar may be given.
    `settings` begins a new text, so that one processor can be used for one after another.

    llama.cpp calls back from C, where Python errors get lost. They are kept, and `check`, which is
    among the settings as a stopping criterion, raises them.

    Examples
    --------
    >>> processor = SignedTemperature(-1.0)
    >>> ids = np.array([5, 6, 7], dtype=np.intc)
    >>> np.exp(processor(ids, np.array([2, 1, 0], dtype=np.single))).round(3)
    array([0.09 , 0.245, 0.665], dtype=float32)
    """

    def __init__(self, decoder: Decoder | Schedule | float, *, seed: int = 0) -> None:
        self._decoder = as_decoder(decoder)
        self._seed = checked_seed(seed)
        self.reset()

    def settings(self) -> dict[str, Any]:
        """The arguments of a call of ``Llama`` that go with it.

        Returns
        -------
        dict
            This processor, its `check`, temperature 1, and llama.cpp's own filters switched off.
        """
        self.reset()
        return {
            "logits_processor": [self],
            "stopping_criteria": self.check,
            "temperature": 1.0,
            "top_k": 0,
            "top_p": 1.0,
            "min_p": 0.0,
            "typical_p": 1.0,
            "repeat_penalty": 1.0,
            "frequency_penalty": 0.0,
            "presence_penalty": 0.0,
        }

    def reset(self) -> None:
        """Begin a new text with the next call, whatever its prompt. `settings` does it, too."""
        self._text = FollowedText(self._decoder, self._seed)
        self._error: BaseException | None = None
        self._was_asked = False

    def __call__(
        self, input_ids: NDArray[np.intc], scores: NDArray[np.single]
    ) -> NDArray[np.single]:
        """Log-probabilities (V,) of the token after these ids, −inf for those that cannot come."""
        self._was_asked = True
        try:
            logits = np.array(scores, dtype=np.float32)  # a copy: it comes as a view of C memory
            decoded = self._text.decoded(input_ids.tolist, logits)
            return decoded.log_probabilities.numpy().astype(np.single)
        except BaseException as error:
            self._error = error
            raise

    def check(self, input_ids: NDArray[np.intc], logits: NDArray[np.single]) -> bool:
        """Raise what went wrong at this token; never a reason to stop otherwise."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        if not self._was_asked:
            raise InvalidInputError(
                "llama-cpp-python drew a token without asking for β, as it does "
                "when a logit_bias is given. Ban tokens by a Decoder with a mask, "
                "Decoder(β, valid=...), and give no logit_bias."
            )
        return False
