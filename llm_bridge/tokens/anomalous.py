"""Find anomalous tokens: every indicator of every token, and what the model does with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from llm_bridge.models import LanguageModel
from llm_bridge.tokens.bottom import descend, rank_statistics
from llm_bridge.tokens.categories import row_mask, token_categories, unused_rows
from llm_bridge.tokens.embeddings import embedding_indicators
from llm_bridge.tokens.prompts import as_prompts
from llm_bridge.tokens.repetition import TEMPLATE, repeat_after_me
from llm_bridge.tokens.table import TokenTable
from thermo.arguments import checked_seed, one_of, true_or_false, whole_number

__all__ = ["anomalous_tokens"]


def anomalous_tokens(
    model: LanguageModel,
    prompts: Sequence[str | ArrayLike],
    *,
    positions: str = "all",
    steps: int = 32,
    padded: bool = False,
    known: ArrayLike | None = None,
    unused: ArrayLike | None = None,
    template: str = TEMPLATE,
    asked: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> TokenTable:
    """Every indicator of an anomalous token, beside what the model really does with it.

    From the tokenizer: category and round-trip. From the weights: norms, distances to centroids,
    cosines to unused rows, bias. From the predictions: how often a token is the least likely one
    (the only one drawn at T → 0⁻), its mean rank and logit; and how likely it is to be repeated
    on request.

    Parameters
    ----------
    model : LanguageModel
        Any: tied or untied embeddings, with or without bias, with a padded head or not.
    prompts : sequence of (str or array_like of int)
        Texts, or token ids. Errors are over prompts: take many, from different places.
    positions : {"all", "last"}
        Every prefix of a prompt as a context of the one-step statistics, or the whole one only.
    steps : int
        Tokens of the walk down from each prompt, each argmin becoming the next input; 0 for none.
        Kept apart from the one-step statistics: contexts of such tokens are unlike any text.
    padded : bool
        Whether rows of the head that are no tokens are candidates like the others.
    known : array_like of bool (V,), or of ids, optional
        Tokens known to be anomalous. Default: what the model's metadata say it never met in
        training, if they say so.
    unused : array_like of bool (V,), or of ids, optional
        Reference rows for the cosines. Default:
        :func:`llm_bridge.tokens.categories.unused_rows`.
    template : str
        The prompt that asks for a repetition; see
        :func:`llm_bridge.tokens.repetition.repeat_after_me`.
    asked : int, optional
        Ask for so many tokens only, drawn by ``seed``; 0 for none. Default: every one.
    seed : int
        Of that choice; nothing else is random.
    progress : bool
        Show bars on standard error.

    Returns
    -------
    TokenTable
        One row per row of the head, ordered by id.

    Raises
    ------
    InvalidInputError
        No prompts, empty ones, unknown ids; another value of ``positions``; NaN among logits.

    Notes
    -----
    Of equal logits the lowest id is the argmin. Whether the argmin is more than rounding is told by
    ``table.one_step.summary()``, the gap to the second lowest against the spacing of float types.

    The whole rank of every token is taken in every context: N·V·log V operations. For a large
    vocabulary use ``positions="last"``.

    Examples
    --------
    >>> from llm_bridge.models import load_model
    >>> prompts = ["import os\\n", "def f(x):\\n    return", "class A:\\n    def"]
    >>> table = anomalous_tokens(load_model("demo"), prompts, steps=0, asked=0)
    >>> int(table.known.sum()), len(table)
    (159, 4096)
    >>> table.sorted_by("input_norm").known[:100].mean() > 0.8
    np.True_
    """
    ids = as_prompts(model, prompts)
    one_of(positions, "positions", ("all", "last"))
    whole_number(steps, "steps", 0)
    size = model.vocabulary_size
    candidates = np.ones(size, dtype=bool) if true_or_false(padded, "padded") else model.valid
    rng = np.random.default_rng(checked_seed(seed))
    if asked is not None:
        whole_number(asked, "asked", 0)
    if known is None:
        known = model.metadata.get("never_met_token_ids")
    truth = None if known is None else row_mask(known, size, "known")
    if truth is not None and padded:
        truth |= ~model.valid  # no text has held them either
    categories = token_categories(model)
    reference = unused_rows(categories) if unused is None else row_mask(unused, size, "unused")

    columns = embedding_indicators(model, reference)
    columns["round_trip"] = (categories == "plain").astype(np.float64)
    found = rank_statistics(model, ids, candidates, positions, progress)
    share, share_error = found.bottom.share(size)
    columns |= {"argmin_share": share, "mean_rank": found.mean_rank, "mean_z": found.mean_z}
    errors = {
        "argmin_share": share_error,
        "mean_rank": found.mean_rank_error,
        "mean_z": found.mean_z_error,
    }
    walks = descend(model, ids, candidates, steps, progress) if steps else None
    if walks is not None:
        columns["autoregressive_share"], errors["autoregressive_share"] = walks.share(size)
    if asked != 0:
        tokens = np.flatnonzero(candidates)
        if asked is not None and asked < tokens.size:
            tokens = np.sort(rng.choice(tokens, asked, replace=False))
        columns["repeat_probability"], columns["repeat_rank"] = repeat_after_me(
            model, tokens, template=template, candidates=candidates, progress=progress
        )
    for name in ("argmin_share", "autoregressive_share"):
        if name in columns:
            columns[name][~candidates] = np.nan
    return TokenTable(
        model_name=model.name,
        id=np.arange(size),
        text=model.vocabulary,
        category=categories,
        candidates=candidates.copy(),
        unused=reference,
        known=truth,
        columns=columns,
        errors=errors,
        one_step=found.bottom,
        autoregressive=walks,
    )
