"""Training windows in an order that the seed and the step number alone decide."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["Batches"]


class Batches:
    """Windows of documents, each read once per epoch, addressed by step.

    Every epoch shuffles the documents, joins them, starts at a random offset and cuts windows of
    ``context + 1`` tokens that overlap by one, so that each token is predicted once. The epoch's
    generator is spawned from the seed by the epoch's number: any step can be computed without the
    ones before it, which is what makes a resumed run read what an uninterrupted one would.

    Parameters
    ----------
    documents : sequence of int arrays
        Encoded documents, each led by the end-of-text token.
    context, batch : int
        Tokens per window and windows per step.
    seed : int

    Examples
    --------
    >>> batches = Batches([np.arange(50, dtype=np.int32)], context=4, batch=3, seed=1)
    >>> batches.at(7).shape
    (3, 5)
    >>> bool((batches.at(7) == batches.at(7)).all())
    True
    """

    def __init__(
        self, documents: Sequence[np.ndarray], *, context: int, batch: int, seed: int
    ) -> None:
        self.documents = list(documents)
        self.context, self.batch, self.seed = context, batch, seed
        self.tokens = sum(len(d) for d in self.documents)
        # The offset of an epoch is below one context, so this many windows always fit.
        self.windows = (self.tokens - 1) // context - 1
        self.steps_per_epoch = self.windows // batch
        self._epoch = -1
        self._cut = np.empty((0, 0), dtype=np.int32)

    def at(self, step: int) -> np.ndarray:
        """Windows of one step, ``(batch, context + 1)`` int32."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._cut = epoch, self._windows_of(epoch)
        return self._cut[place * self.batch : (place + 1) * self.batch]

    def _windows_of(self, epoch: int) -> np.ndarray:
        generator = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(1, epoch)))
        order = generator.permutation(len(self.documents))
        stream = np.concatenate([self.documents[i] for i in order])
        start = int(generator.integers(self.context))
        reach = self.windows * self.context + 1
        view = np.lib.stride_tricks.sliding_window_view(
            stream[start : start + reach], self.context + 1
        )[:: self.context]
        return view[generator.permutation(len(view))]
