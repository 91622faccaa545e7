"""Dense layers whose weights are integers with scales, and models that are made of them."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from llm_bridge.brownian.noise import KINDS, kind_of
from llm_bridge.models import LanguageModel
from llm_bridge.quantised import QuantisedMatrix, quantise
from thermo.arguments import one_of, whole_number
from thermo.errors import InvalidInputError

__all__ = ["QuantisedLinear", "quantised_model"]

_BLOCK = 1 << 22  # weights that exist as floats at a time


class QuantisedLinear(torch.nn.Module):
    r"""A dense layer that keeps integers, :math:`y = x\,(s \circ q)^T + b`.

    The weights become floats when the layer computes, some rows at a time.

    Parameters
    ----------
    matrix : QuantisedMatrix
        (outputs, inputs). Its codes are kept, not copied.
    bias : torch.Tensor, shape (outputs,), optional
        Not quantised.

    Attributes
    ----------
    codes : torch.Tensor of int8, shape (outputs, inputs)
    scale : torch.Tensor of float32, shape (outputs, G)
    bits, largest : int
        The codes are −largest … largest.
    in_features, out_features : int
        As those of :class:`torch.nn.Linear`.

    Notes
    -----
    Weight noise acts on it under the name that the layer's weight has in a model of floats: in
    function space with any law that has a form there, whatever the grid; on the codes themselves
    by ternary kicks (``machine="copies"`` and ``"regenerate"``) or with rounding
    (:mod:`llm_bridge.brownian.rounding`).

    Codes of 4 bits take a byte each, they are not packed. Not for speed: an engine with integer
    kernels is faster than floats, this layer is slower. It has no gradient for its weights.

    Examples
    --------
    >>> layer = QuantisedLinear.of(torch.nn.Linear(256, 64), bits=4, group=128)
    >>> layer
    QuantisedLinear(in_features=256, out_features=64, bits=4, group=128, bias=True)
    >>> layer(torch.zeros(3, 256)).shape
    torch.Size([3, 64])
    """

    def __init__(self, matrix: QuantisedMatrix, bias: torch.Tensor | None = None) -> None:
        super().__init__()
        self.codes: torch.Tensor
        self.scale: torch.Tensor
        self.register_buffer("codes", matrix.codes.contiguous())
        self.register_buffer("scale", matrix.scale)
        self.bits = matrix.bits
        self.largest = matrix.largest
        self.out_features, self.in_features = matrix.codes.shape
        self.bias = None if bias is None else torch.nn.Parameter(bias, requires_grad=False)

    @classmethod
    def of(
        cls, layer: torch.nn.Module, *, bits: int = 8, group: int | None = None
    ) -> QuantisedLinear:
        """The layer with the weights of another one, rounded to nearest (`quantise`).

        Parameters
        ----------
        layer : torch.nn.Linear or transformers.pytorch_utils.Conv1D
        bits : {8, 4}
        group : int, optional
            Inputs that share a scale; divides their number. Default: all.

        Raises
        ------
        InvalidInputError
            A layer of another kind, or what `quantise` refuses.
        """
        weight = _dense_weight(layer)
        if weight is None:
            raise InvalidInputError(
                f"a {type(layer).__name__} was given; accepted: torch.nn.Linear, or the Conv1D of "
                "transformers."
            )
        bias: Any = layer.bias
        return cls(quantise(weight, group, bits=bits), None if bias is None else bias.detach())

    @property
    def matrix(self) -> QuantisedMatrix:
        """Codes and scales as they are now; no copy."""
        return QuantisedMatrix(self.codes, self.scale, self.bits)

    @property
    def weight(self) -> torch.Tensor:
        """The weights as floats (outputs, inputs), made anew each time."""
        return self.matrix.dequantised()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """y (…, outputs) from x (…, inputs), in the type of x."""
        rows = max(_BLOCK // max(self.in_features, 1), 1)
        if rows >= self.out_features:
            return torch.nn.functional.linear(x, self.weight.to(x.dtype), self._bias(x))
        y = x.new_empty((*x.shape[:-1], self.out_features))
        for start in range(0, self.out_features, rows):
            block = slice(start, start + rows)
            part = QuantisedMatrix(self.codes[block], self.scale[block], self.bits).dequantised()
            y[..., block] = torch.nn.functional.linear(x, part.to(x.dtype))
        bias = self._bias(x)
        return y if bias is None else y.add_(bias)

    def extra_repr(self) -> str:
        """What ``repr`` shows between its parentheses."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, bits={self.bits}, "
            f"group={self.in_features // self.scale.shape[1]}, bias={self.bias is not None}"
        )

    def _bias(self, x: torch.Tensor) -> torch.Tensor | None:
        return None if self.bias is None else self.bias.to(x.dtype)


def quantised_model(
    model: LanguageModel,
    *,
    bits: int = 8,
    group: int | None = None,
    kinds: Sequence[str] = ("attention", "mlp", "head"),
) -> LanguageModel:
    """A copy of a model whose dense layers are `QuantisedLinear`.

    Parameters
    ----------
    model : LanguageModel
        Not changed.
    bits : {8, 4}
    group : int, optional
        Inputs that share a scale; divides those of every layer. Default: all of a layer's.
    kinds : sequence of str
        Which layers, by :func:`llm_bridge.brownian.noise.kind_of`. Embeddings, norms and biases are
        no dense layers and stay.

    Returns
    -------
    LanguageModel

    Raises
    ------
    InvalidInputError
        A kind that does not exist, no dense layer of these kinds, or a group or bits that
        :func:`llm_bridge.quantised.quantise` refuses.

    Notes
    -----
    Its logits are those of an engine that stores the weights in so many bits and computes in
    float32. A head that is tied to the embedding counts as an embedding.

    Examples
    --------
    >>> from llm_bridge.models import load_model
    >>> model = load_model("demo")
    >>> rough = quantised_model(model)
    >>> bool(abs(rough.logits([1, 2, 3]) - model.logits([1, 2, 3])).max() < 1)
    True
    """
    for kind in kinds:
        one_of(kind, "kinds", KINDS)
    chosen = {
        name: layer for name, layer in _dense_layers(model.torch_module) if kind_of(name) in kinds
    }
    if not chosen:
        raise InvalidInputError(f"{model.name} has no dense layers of the kinds {', '.join(kinds)}")
    if group is not None:
        _require_group(whole_number(group, "group", 1), chosen)
    module = copy.deepcopy(model.torch_module)
    for name, layer in chosen.items():
        path, _, own_name = name.removesuffix(".weight").rpartition(".")
        rough = QuantisedLinear.of(layer, bits=bits, group=group)
        setattr(module.get_submodule(path), own_name, rough)
    return LanguageModel(module, model.tokenizer, name=f"{model.name}, {bits}-bit weights")


def _dense_layers(module: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Module]]:
    """Dense layers by the name of their weight, without those that share it with an embedding."""
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    for path, layer in module.named_modules():
        if _dense_weight(layer) is not None and names.get(id(layer.weight)) == f"{path}.weight":
            yield f"{path}.weight", layer


def _dense_weight(layer: torch.nn.Module) -> torch.Tensor | None:
    """The weight (outputs, inputs) of a dense layer, None of any other."""
    weight: Any = getattr(layer, "weight", None)
    if type(layer).forward is torch.nn.Linear.forward:  # as subclasses may not compute
        return weight.detach()
    if type(layer).__name__ == "Conv1D" and hasattr(layer, "nf"):  # GPT-2's, of transformers
        return weight.detach().mT
    return None


def _require_group(group: int, layers: Mapping[str, torch.nn.Module]) -> None:
    """Refuse a group that does not divide the inputs of all layers, before any is quantised."""
    weights = {name: _dense_weight(layer) for name, layer in layers.items()}
    inputs = {name: weight.shape[1] for name, weight in weights.items() if weight is not None}
    common = math.gcd(*inputs.values())
    for name, width in inputs.items():
        if width % group:
            raise InvalidInputError(
                f"group = {group} was given, and {name} has {width} inputs; a divisor of {common} "
                "is accepted, which divides those of all layers."
            )
