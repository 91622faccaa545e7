r"""Weight noise in function space: its exact law at the outputs of the layers, no weight touched.

.. math:: x_t (W + \sigma\Xi)^T = x_t W^T + \sigma \sum_{s \le t} L_{ts} Z_s, \qquad
          LL^T = XX^T \circ C

The first term is the model's own product. The second needs one row of normal numbers per position
instead of one number per weight, and is added by forward hooks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from llm_bridge.brownian.layer_forms import dense_shape, gain_of, is_shift, token_scale
from llm_bridge.brownian.layer_noise import (
    DenseNoise,
    FreshDenseNoise,
    GainNoise,
    LayerNoise,
    OuterDenseNoise,
    OuterTokenNoise,
    ReadingState,
    ShiftNoise,
    TokenNoise,
)
from llm_bridge.brownian.noise import WeightNoise
from llm_bridge.brownian.overflow import overflow_hooks
from llm_bridge.brownian.selection import NoisyTensor, selected_tensors
from llm_bridge.brownian.shared_factors import SharedFactors
from llm_bridge.errors import UnsupportedNoiseError
from llm_bridge.module_locks import lock_of
from thermo.arguments import whole_number
from thermo.errors import InvalidInputError

if TYPE_CHECKING:
    import torch

    from llm_bridge.models import LanguageModel

__all__ = ["FunctionSpaceNoise", "noisy_layers"]

_FALLBACK = "accepted: machine='copies', which perturbs copies of the weights"

# A layer, and what makes the hook of a reading for one of its tensors.
NoisyLayer = tuple["torch.nn.Module", Callable[[ReadingState], LayerNoise]]


class FunctionSpaceNoise:
    r"""A reading of a text by noisy weights, without noisy weights.

    Inside the ``with`` block every forward pass of ``model.torch_module`` reads on: its positions
    follow those of the passes before it, with the same draws of the weights, as decoding with a
    key/value cache wants it. Every pass has a batch of exactly ``draws`` rows, one per draw.
    Between two blocks of the same reading the model is its clean self.

    Parameters
    ----------
    model : LanguageModel or torch.nn.Module
        Its weights are neither changed nor copied.
    noise : WeightNoise
        The law gaussian with any correlation, or quenched noise of the laws factorised and
        low_rank.
    draws : int
        Draws of the weights, side by side in one batch.
    first_draw : int
        Number of the first one: draw k depends on the seed and on k only.
    mirrored : bool
        Draw 2k + 1 uses the random numbers of draw 2k with the opposite sign. To leading order in σ
        the two are mirror images, and a mean over both has no error of that order; exactly they are
        not, for their deeper layers read different inputs. The law of each draw is exact by itself.
    one_pass : bool
        One forward pass only; inputs and random numbers of a layer are dropped once it has its
        output, so that hardly any memory is needed beside the model's own.
    layers : sequence, optional
        The `noisy_layers` of this model and noise, where they are known: they take a while.

    Attributes
    ----------
    positions : int
        Read so far.
    time : int
        Of the next position, in tokens of the text: the number of positions read so far, but for
        those that were read again (`hold`).

    Raises
    ------
    InvalidInputError
        Arguments out of range, or ``noise.where`` matches nothing. In a pass: a batch of another
        size, a second pass with ``one_pass``, or a pass after an interrupted one.
    UnsupportedNoiseError
        A law that has no such form (multiplicative, ternary), a tied tensor, whose two kinds of use
        would have to share one noise, or a tensor of a layer that is neither dense, nor an
        embedding, nor elementwise. In a pass: gradients are wanted. Every message names what is
        accepted instead.
    NoiseOverflowError
        In a pass: the noise is so large that what a layer reads outgrows float32.

    Notes
    -----
    Per dense layer and position, after t others: about t·d_in + t·d_out multiplications beside
    d_in·d_out of the layer's own, and d_out normal numbers at about 0.8 ns; layers that read the
    same tensor share the first term. Annealed noise needs the d_out numbers alone. Kept are
    t·(d_in + d_out) numbers per layer and draw. Once t is no longer small beside d_in, noisy
    copies of the weights cost less.

    Random numbers and factors are made on the host also where the model is on another device, and
    are the same there: each layer that has a new input then waits for it once.

    Under correlation in time, a cached key or value keeps the weights that it was computed with.
    Between entering and leaving, other threads that read the model wait.
    Rows of a batch must keep their places from pass to pass (no beam search), and a cache must not
    be cut back.

    Examples
    --------
    >>> import torch
    >>> from llm_bridge.models import load_model
    >>> model = load_model("demo")
    >>> ids = torch.from_numpy(model.encode("for i in range(10):"))
    >>> with FunctionSpaceNoise(model, WeightNoise(0.05), draws=4) as reading, torch.no_grad():
    ...     logits = model.torch_module(ids.expand(4, -1)).logits
    >>> logits.shape == (4, len(ids), len(model.vocabulary)), reading.positions == len(ids)
    (True, True)
    """

    def __init__(
        self,
        model: LanguageModel | torch.nn.Module,
        noise: WeightNoise,
        *,
        draws: int = 1,
        first_draw: int = 0,
        mirrored: bool = False,
        one_pass: bool = False,
        layers: Sequence[NoisyLayer] | None = None,
    ) -> None:
        import torch

        self._module = model if isinstance(model, torch.nn.Module) else model.torch_module
        draws = whole_number(draws, "draws", 1)
        first_draw = whole_number(first_draw, "first_draw", 0)
        if layers is None:
            layers = noisy_layers(self._module, noise, selected_tensors(self._module, noise))
        self._state = ReadingState(
            noise,
            range(first_draw, first_draw + draws),
            bool(mirrored),
            bool(one_pass),
            SharedFactors(noise.rho or 1.0, keep=not one_pass),
        )
        hooks = [(layer, hook(self._state)) for layer, hook in layers]
        # What is added comes after what multiplies.
        self._layers = sorted(hooks, key=lambda pair: isinstance(pair[1], ShiftNoise))
        self._lock = lock_of(self._module)
        self._handles: list[Any] = []
        self._holds_lock = False
        self._under_way = False
        self._held = False
        self.positions = 0
        self.time = 0

    def __enter__(self) -> FunctionSpaceNoise:
        if self._handles:
            raise InvalidInputError("a reading is entered inside itself; accepted: a new one.")
        self._lock.acquire()
        self._holds_lock = True
        try:
            self._handles.append(
                self._module.register_forward_pre_hook(self._begin, with_kwargs=True)
            )
            for module, noise in self._layers:
                self._handles.append(module.register_forward_hook(noise, with_kwargs=True))
            self._handles.append(self._module.register_forward_hook(self._end))
            for handle in overflow_hooks(self._module, self._state.noise):
                self._handles.append(handle)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        while self._handles:
            self._handles[-1].remove()
            self._handles.pop()
        if self._holds_lock:
            self._holds_lock = False
            self._lock.release()

    def hold(self) -> None:
        """Let the next pass be of one time: its weights do not wander from position to position.

        For text that is read *again* together with one new token, as a reader must whose memory is
        full: by the weights of the present, and not as if more text had come. (Annealed noise is
        fresh at every position of that pass too.)
        """
        self._held = True

    def _begin(self, _: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        state, draws = self._state, len(self._state.draws)
        if state.paused:
            return
        shape = _shape_of_input(arguments, named)
        if shape[0] != draws:
            raise InvalidInputError(
                f"a batch of {shape[0]} rows was given; a row for each of the {draws} draws is "
                "accepted."
            )
        if self._under_way:
            raise InvalidInputError(
                "an earlier pass was interrupted, and some layers have read further than others; "
                "a new reading is accepted."
            )
        if state.one_pass and self.positions:
            raise InvalidInputError(
                "a second pass of a reading with one_pass=True; accepted: one_pass=False."
            )
        self._under_way = True
        state.times = self.time + np.arange(shape[1]) * (not self._held)

    def _end(self, *_: object) -> None:
        if self._state.paused:
            return
        self._under_way = self._held = False
        self.positions += self._state.times.size
        self.time = int(self._state.times[-1]) + 1


def _require_law(noise: WeightNoise) -> None:
    if noise.law == "gaussian":
        return
    if noise.law not in ("factorised", "low_rank"):
        raise UnsupportedNoiseError(
            f"law = {noise.law!r} has no form in function space; {_FALLBACK}."
        )
    if noise.correlation != "quenched":
        raise UnsupportedNoiseError(
            f"law = {noise.law!r} with correlation = {noise.correlation!r} has no form in function "
            f"space; accepted: correlation='quenched', law='gaussian', or {_FALLBACK[10:]}."
        )


def noisy_layers(
    module: torch.nn.Module, noise: WeightNoise, chosen: Sequence[NoisyTensor]
) -> list[NoisyLayer]:
    """The layers that `FunctionSpaceNoise` adds to, found by trying what each of them computes.

    Parameters
    ----------
    module : torch.nn.Module
    noise : WeightNoise
    chosen : sequence of NoisyTensor
        ``selected_tensors`` of both.

    Returns
    -------
    list of NoisyLayer

    Raises
    ------
    UnsupportedNoiseError
        As `FunctionSpaceNoise`, before any work.
    """
    import torch

    _require_law(noise)
    found: list[NoisyLayer] = []
    with lock_of(module), torch.no_grad():
        for tensor in chosen:
            owner, name = _owner(module, tensor)
            hook = _noise_of(owner, name, tensor, noise)
            if hook is None:
                raise UnsupportedNoiseError(
                    f"{tensor.name} belongs to a layer ({type(owner).__name__}) that is neither "
                    f"dense, nor an embedding, nor elementwise in it; {_FALLBACK}."
                )
            if tensor.size:
                found.append((owner, hook))
    return found


def _owner(module: torch.nn.Module, tensor: NoisyTensor) -> tuple[torch.nn.Module, str]:
    """The layer that a tensor belongs to, and what the layer calls it."""
    owners = {}
    for name in tensor.names:
        path, _, own_name = name.rpartition(".")
        owner = module.get_submodule(path)
        owners[id(owner), own_name] = owner, own_name
    if len(owners) > 1:
        raise UnsupportedNoiseError(
            f"{' and '.join(tensor.names)} are one tensor, tied, and would have to share one noise "
            f"in different uses; {_FALLBACK}."
        )
    return next(iter(owners.values()))


def _noise_of(
    owner: torch.nn.Module, name: str, tensor: NoisyTensor, noise: WeightNoise
) -> Callable[[ReadingState], LayerNoise] | None:
    """What makes the hook for one tensor, None for a layer whose form is not known."""
    if tensor.tensor.ndim == 1:
        if is_shift(owner, name):
            return partial(ShiftNoise, tensor)
        gain = gain_of(owner, name)
        return None if gain is None else partial(GainNoise, tensor, gain=gain)
    if tensor.tensor.ndim != 2:
        return None
    outer = noise.law != "gaussian"
    rows, columns = tensor.tensor.shape
    scale = token_scale(owner)
    if scale is not None:
        if outer:
            return partial(OuterTokenNoise, tensor, scale=scale, shape=(rows, columns))
        return partial(TokenNoise, tensor, scale=scale, width=columns)
    shape = dense_shape(owner, name)
    if shape is None:
        return None
    if outer:
        return partial(OuterDenseNoise, tensor, shape=shape)
    return partial(FreshDenseNoise if noise.rho == 0.0 else DenseNoise, tensor, width=shape[0])


def _shape_of_input(arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[int, ...]:
    """(batch, positions, …) of what a model is called with."""
    for value in (*arguments, named.get("input_ids"), named.get("inputs_embeds"), *named.values()):
        if hasattr(value, "shape") and len(value.shape) >= 2:
            return tuple(value.shape)
    raise InvalidInputError(
        "the model was called without a tensor of at least two axes; accepted: input_ids of shape "
        "(draws, positions)."
    )
