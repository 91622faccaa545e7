"""A training checkpoint: one safetensors file, tensors in it and the state as JSON in its head."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn, optim

from thermo.errors import InvalidInputError

__all__ = ["Checkpoint"]

FORMAT = "spinlogit demo model checkpoint 1"


@dataclass
class Checkpoint:
    """Everything a run needs to go on as if it had never stopped.

    Attributes
    ----------
    state : dict
        JSON values: step, seconds spent, seed, recipe, corpus hash, learning curve.
    tokenizer : str
        The tokenizer's JSON.
    tensors : dict of str to Tensor
        ``model/…``, ``best/…`` and ``optimizer/<number>/<parameter>/<key>``.
    """

    state: dict[str, Any]
    tokenizer: str
    tensors: dict[str, torch.Tensor]

    @classmethod
    def take(
        cls,
        state: dict[str, Any],
        tokenizer: str,
        model: nn.Module,
        best: dict[str, torch.Tensor],
        optimizers: list[optim.Optimizer],
    ) -> Checkpoint:
        """Copy references to a run's tensors."""
        tensors = {f"model/{k}": v for k, v in model.state_dict().items()}
        tensors |= {f"best/{k}": v for k, v in best.items()}
        for number, optimizer in enumerate(optimizers):
            for parameter, entries in optimizer.state_dict()["state"].items():
                for key, value in entries.items():
                    tensors[f"optimizer/{number}/{parameter}/{key}"] = torch.as_tensor(value)
        return cls(state, tokenizer, tensors)

    def restore(self, model: nn.Module, optimizers: list[optim.Optimizer]) -> None:
        """Put the tensors back into a freshly built model and its optimisers."""
        model.load_state_dict(self.part("model"))
        for number, optimizer in enumerate(optimizers):
            fresh = optimizer.state_dict()
            saved: dict[int, dict[str, torch.Tensor]] = {}
            for name, tensor in self.part(f"optimizer/{number}").items():
                parameter, key = name.split("/")
                saved.setdefault(int(parameter), {})[key] = tensor
            fresh["state"] = saved
            optimizer.load_state_dict(fresh)

    def part(self, prefix: str) -> dict[str, torch.Tensor]:
        """Tensors below a prefix, named without it."""
        head = prefix + "/"
        return {k[len(head) :]: v for k, v in self.tensors.items() if k.startswith(head)}

    def save(self, path: Path) -> None:
        """Write under a temporary name and rename, so that a file is whole or absent."""
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=path.name, suffix=".part", dir=path.parent)
        os.close(handle)
        try:
            # Clones, since safetensors refuses tensors that share memory (best may be current).
            save_file(
                {k: v.detach().cpu().clone().contiguous() for k, v in self.tensors.items()},
                name,
                {"format": FORMAT, "state": json.dumps(self.state), "tokenizer": self.tokenizer},
            )
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a checkpoint; nothing in the file is executed."""
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            if metadata.get("format") == FORMAT:
                return cls(json.loads(metadata["state"]), metadata["tokenizer"], tensors)
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise InvalidInputError(
                f"the checkpoint {str(path)!r} cannot be read ({error}); give another path, or "
                "delete the file to start anew."
            ) from None
        raise InvalidInputError(
            f"{str(path)!r} is not a training checkpoint of the demo model; give another path, or "
            "delete the file to start anew."
        )
