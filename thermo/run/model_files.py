"""A model in a dataset: its arrays as variables, the rest of its description as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from thermo.models.description import from_description

if TYPE_CHECKING:
    import xarray

__all__ = ["model_in", "with_model"]

_PREFIX = "model_"  # before the names of the model's arrays


def with_model(data: xarray.Dataset, model: Any) -> tuple[xarray.Dataset, str]:
    """Return the dataset with the arrays of the model, and what else describes it, as JSON."""
    variables, rest = {}, {}
    for name, value in model.description().items():
        if isinstance(value, np.ndarray):
            axes = tuple(f"{_PREFIX}{name}_{axis}" for axis in range(value.ndim))
            variables[_PREFIX + name] = (axes, value)
        else:
            rest[name] = value
    return data.assign(variables), json.dumps(rest)


def model_in(data: xarray.Dataset) -> Any:
    """Return the model of a dataset that has its description as attribute ``model_description``."""
    arrays = {
        str(name).removeprefix(_PREFIX): values.to_numpy()
        for name, values in data.variables.items()
        if str(name).startswith(_PREFIX)
    }
    return from_description(json.loads(data.attrs["model_description"]) | arrays)
