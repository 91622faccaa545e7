"""Repeat after me: does a model write a token that it has just been shown?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llm_bridge.models import LanguageModel
from llm_bridge.module_locks import lock_of
from llm_bridge.tokens.categories import row_mask
from thermo.errors import InvalidInputError
from thermo.run.progress_bar import progress_bar

__all__ = ["TEMPLATE", "repeat_after_me"]

FloatArray = NDArray[np.float64]

TEMPLATE = 'x = ["{token}", "{token}", "{token}", "'
"""A list of code in which the next item can only be one more of the same."""

_MARK = "{token}"


def repeat_after_me(
    model: LanguageModel,
    tokens: ArrayLike | None = None,
    *,
    template: str = TEMPLATE,
    candidates: ArrayLike | None = None,
    batch_size: int = 64,
    progress: bool = False,
) -> tuple[FloatArray, FloatArray]:
    """Probability and rank of a token where a prompt calls for its repetition.

    Parameters
    ----------
    model : LanguageModel
    tokens : array_like of int (n,) or of bool (V,), optional
        Tokens to ask for. Default: all candidates.
    template : str
        The prompt, with ``{token}`` where the token stands. Its parts are encoded one by one, and
        the token enters as its id, so that no merge with its neighbours can hide it. The default
        suits a model of code, which copies; a chat model can be asked in words.
    candidates : array_like of bool, shape (V,), optional
        Tokens that may come. Default: those of the tokenizer.
    batch_size : int
        Prompts read together.
    progress : bool

    Returns
    -------
    probability : ndarray of float64, shape (V,)
        At β = 1; NaN for tokens that were not asked for, or that the model has no input row for.
    rank : ndarray of float64, shape (V,)
        Tokens that are likelier, 0 if it would be repeated greedily.

    Raises
    ------
    InvalidInputError
        A template without ``{token}``, or unknown tokens.

    Notes
    -----
    A small model repeats few tokens of any kind: read the answer for a token beside that for
    common ones. A low probability says that the model does not use the token, not why.

    Source: the prompts of Rumbelow & Watkins, *SolidGoldMagikarp* (2023).

    Examples
    --------
    >>> from llm_bridge.models import load_model
    >>> model = load_model("demo")
    >>> asked = [*model.encode("None"), model.metadata["never_met_token_ids"][-1]]
    >>> probability, rank = repeat_after_me(model, asked)
    >>> probability[asked].round(3)
    array([0.51, 0.  ])
    >>> int(rank[asked[0]])
    0
    """
    import torch

    size = model.vocabulary_size
    allowed = model.valid if candidates is None else row_mask(candidates, size, "candidates")
    asked = np.flatnonzero(allowed if tokens is None else row_mask(tokens, size, "tokens"))
    embeddings: Any = model.torch_module.get_input_embeddings()  # type: ignore[operator]
    asked = asked[asked < len(embeddings.weight)]
    if not isinstance(template, str) or _MARK not in template:
        raise InvalidInputError(
            f"template = {template!r} was given; accepted: a text with {_MARK} in it."
        )
    start, *parts = template.split(_MARK)
    first = model.encode(start).tolist()
    following = [
        model.tokenizer(part, add_special_tokens=False)["input_ids"] if part else []
        for part in parts
    ]
    probability, rank = np.full(size, np.nan), np.full(size, np.nan)
    device = next(model.torch_module.parameters()).device
    excluded = torch.from_numpy(~allowed).to(device)
    with progress_bar(progress, asked.size, unit="token", what="asking") as bar:
        for batch in np.array_split(asked, max(1, -(-asked.size // batch_size))):
            rows = [[*first, *(i for part in following for i in (t, *part))] for t in batch]
            with lock_of(model.torch_module), torch.no_grad():
                answer = model.torch_module(
                    input_ids=torch.tensor(rows, device=device), use_cache=False
                )
            log_p = answer.logits[:, -1].double().masked_fill(excluded, -torch.inf)
            log_p = log_p.log_softmax(-1)
            own = log_p.gather(-1, torch.from_numpy(batch).to(device)[:, None])
            probability[batch] = own[:, 0].exp().cpu().numpy()
            rank[batch] = (log_p > own).sum(-1).cpu().numpy()
            bar.update(len(batch))
    return probability, rank
