"""What a model's weights say of each token: norms, centroids, and the direction of unused rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh

from llm_bridge.logit_arrays import dtype_name, row_blocks
from llm_bridge.models import LanguageModel
from llm_bridge.tokens.categories import row_mask
from thermo.arguments import as_real
from thermo.errors import InvalidInputError

if TYPE_CHECKING:
    import torch

__all__ = ["INDICATORS", "embedding_indicators", "extreme_rows"]

FloatArray = NDArray[np.float64]

# Which side is said to be the anomalous one: +1 large values, −1 small ones.
_SIDES = {
    "norm": -1,
    "centroid_distance": -1,
    "centroid_cosine": +1,
    "unused_cosine": +1,
    "unused_cosine_centred": +1,
    "unused_cosine_without_pc": +1,
}
INDICATORS = {
    **{f"{which}_{name}": side for which in ("input", "output") for name, side in _SIDES.items()},
    "head_bias": -1,
}
"""Names of the indicators, and the side that literature calls anomalous: +1 large, −1 small."""


def embedding_indicators(
    model: LanguageModel, unused: ArrayLike, tokens: ArrayLike | None = None
) -> dict[str, FloatArray]:
    r"""Geometry of the input embeddings and of the rows of the head, one value per token.

    For the rows :math:`w_i` of either matrix, with their mean :math:`c` and the mean :math:`u` of
    the unused rows:

    ========================== ==========================================================
    norm                       :math:`|w_i|`
    centroid_distance          :math:`|w_i - c|`
    centroid_cosine            cosine of :math:`w_i` and :math:`c`
    unused_cosine              cosine of :math:`w_i` and :math:`u`
    unused_cosine_centred      cosine of :math:`w_i - c` and :math:`u - c`
    unused_cosine_without_pc   the same, without the first principal component of all rows
    head_bias                  what the head adds to the logit
    ========================== ==========================================================

    Parameters
    ----------
    model : LanguageModel
    unused : array_like of bool (V,), or of token ids
        Rows known to be untrained (`llm_bridge.tokens.categories.unused_rows`). A row is never
        compared with itself: for an unused row, :math:`u` is the mean of the others.
    tokens : array_like of bool, shape (V,), optional
        Rows whose mean is the centroid. Default: those of the tokenizer.

    Returns
    -------
    dict of str to ndarray of float64, shape (V,)
        Names with ``input_`` or ``output_`` before them. NaN where a model has no such number: no
        bias, no row, no unused row to compare with. The cosine with a row of zeros is 0.

    Raises
    ------
    InvalidInputError
        A model that does not show its head.

    Notes
    -----
    A vector added to *every* row of the head adds the same number to all logits of a position and
    changes no probability. Norms and plain cosines of the head depend on that choice of gauge,
    distances to the centroid and centred cosines do not; and none of them depends on what the
    model does with its input, as the input embeddings do.

    Sources: Land & Bartolo, *Fishing for Magikarp* (2024), section 2.2 for norms and cosines to
    unused rows; D. Kauffman (2023) for the distance to a centroid.
    """
    given, head, bias = _matrices(model)
    size = model.vocabulary_size
    reference = row_mask(unused, size, "unused")
    counted = model.valid if tokens is None else row_mask(tokens, size, "tokens")
    out: dict[str, FloatArray] = {}
    shared = given is head
    for which, rows in (("output", head), ("input", given)):
        if which == "input" and shared:
            out |= {f"input_{name}": out[f"output_{name}"] for name in _SIDES}
            continue
        n = min(len(rows), size)  # a model may embed fewer tokens than it predicts
        found = _geometry(rows[:n], reference[:n], counted[:n])
        for name, values in found.items():
            out[f"{which}_{name}"] = np.full(size, np.nan)
            out[f"{which}_{name}"][:n] = values
    out["head_bias"] = np.full(size, np.nan) if bias is None else bias.astype(np.float64)
    return {name: out[name] for name in INDICATORS}


def extreme_rows(rows: ArrayLike) -> NDArray[np.bool_]:
    r"""Rows that are certainly corners of the convex hull of all rows.

    Without a bias the logit of token i is :math:`h \cdot w_i`, and a linear function is lowest at a
    corner of the hull: a row inside is never argmin or argmax, whatever :math:`h`. A row is
    certified here when it is the farthest of all along its own direction from the centroid,
    :math:`(w_i - w_j) \cdot (w_i - c) > 0` for all j: then :math:`h \propto -(w_i - c)` makes it
    the argmin.

    Parameters
    ----------
    rows : array_like, shape (V, d)
        Of a head without bias.

    Returns
    -------
    ndarray of bool, shape (V,)
        False means "not shown", not "inside". V²d operations: not for a head of 150 000 rows.

    Examples
    --------
    >>> extreme_rows([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0], [0.1, 0.0]])
    array([ True,  True,  True,  True, False])
    """
    points = as_real(rows, "rows")
    if points.ndim != 2 or points.size == 0:
        raise InvalidInputError(f"rows have shape {points.shape}; (V, d) is needed.")
    away = points - points.mean(axis=0)
    own = (away * away).sum(axis=1)
    out = np.empty(len(points), dtype=bool)
    for block in row_blocks(len(points), len(points), 1 << 22):
        along = away[block] @ away.T
        here = np.arange(len(points))[block]
        along[np.arange(len(here)), here] = -np.inf
        out[block] = along.max(axis=1) < own[block]
    return out


def _matrices(model: LanguageModel) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
    """Input embeddings, head (the same object where they are tied) and the head's bias."""
    module: Any = model.torch_module
    head: Any = getattr(module, "get_output_embeddings", lambda: None)()
    embedding: Any = getattr(module, "get_input_embeddings", lambda: None)()
    if not hasattr(head, "weight") or not hasattr(embedding, "weight"):
        raise InvalidInputError(
            f"{model.name} does not show its embeddings and its head; a causal language model of "
            "transformers with get_input_embeddings() and get_output_embeddings() is accepted."
        )
    weight = _array(head.weight)
    tied = embedding.weight.data_ptr() == head.weight.data_ptr()
    given = weight if tied else _array(embedding.weight)
    bias = getattr(head, "bias", None)
    return given, weight, None if bias is None else _array(bias)


def _array(tensor: torch.Tensor) -> NDArray[Any]:
    """The numbers of a tensor; bfloat16, which NumPy does not know, as float32."""
    values = tensor.detach().cpu()
    return (values.float() if dtype_name(values) == "bfloat16" else values).numpy()


def _geometry(
    rows: NDArray[Any], unused: NDArray[np.bool_], counted: NDArray[np.bool_]
) -> dict[str, FloatArray]:
    centroid = rows[counted].mean(axis=0, dtype=np.float64)
    axis = _first_principal_axis(rows[counted], centroid)
    out = {name: np.full(len(rows), np.nan) for name in _SIDES}
    reference = rows[unused].astype(np.float64)
    for block in row_blocks(*rows.shape):
        raw = rows[block].astype(np.float64)
        away = raw - centroid
        out["norm"][block] = np.linalg.norm(raw, axis=1)
        out["centroid_distance"][block] = np.linalg.norm(away, axis=1)
        out["centroid_cosine"][block] = _cosine(raw, centroid[None])
        member = unused[block]
        for name, part, others in (
            ("unused_cosine", raw, reference),
            ("unused_cosine_centred", away, reference - centroid),
            (
                "unused_cosine_without_pc",
                _without(away, axis),
                _without(reference - centroid, axis),
            ),
        ):
            # Leave a row out of its own reference; what is left may be nothing.
            count = len(others) - member
            total = others.sum(axis=0) - np.where(member[:, None], part, 0.0)
            out[name][block] = np.where(count > 0, _cosine(part, total), np.nan)
    return out


def _cosine(a: FloatArray, b: FloatArray) -> FloatArray:
    scale = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return (a * b).sum(axis=1) / np.where(scale > 0, scale, 1.0)


def _without(rows: FloatArray, axis: FloatArray) -> FloatArray:
    return rows - (rows @ axis)[:, None] * axis


def _first_principal_axis(rows: NDArray[Any], centroid: FloatArray) -> FloatArray:
    """The direction in which the rows differ most, of unit length."""
    width = rows.shape[1]
    covariance = np.zeros((width, width))
    for block in row_blocks(*rows.shape):
        away = rows[block] - centroid
        covariance += away.T @ away
    return np.asarray(eigh(covariance, subset_by_index=[width - 1, width - 1])[1][:, 0])
