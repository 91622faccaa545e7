"""Models from what is written about them in a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thermo import lattice
from thermo.arguments import one_of, shown
from thermo.errors import InvalidInputError
from thermo.models.clock import Clock
from thermo.models.heisenberg import Heisenberg
from thermo.models.ising import Ising
from thermo.models.potts import Potts
from thermo.models.spin_model import SpinModel
from thermo.models.xy import XY

__all__ = ["from_description"]

_MODELS = {model.__name__: model for model in (Ising, Potts, Clock, XY, Heisenberg)}


def from_description(description: Mapping[str, Any]) -> SpinModel:
    """Return the model that ``model.description()`` describes.

    Parameters
    ----------
    description : mapping
        It may come from a file: values are checked, nothing is executed.

    Returns
    -------
    Ising, Potts, Clock, XY or Heisenberg
        On the same lattice.

    Raises
    ------
    InvalidInputError
        No such model; an entry that is missing or wrong.

    Examples
    --------
    >>> from thermo.lattice import square
    >>> from_description(Potts(square(4), 3).description())
    Potts(Lattice('square 4×4 torus', 16 sites, 32 bonds), q=3, coupling=1, field=0)
    """
    if not isinstance(description, Mapping):
        raise InvalidInputError(
            f"description = {shown(description)} was given; accepted: what model.description() "
            "returns"
        )
    name = one_of(description.get("model"), "model", [*_MODELS])
    names = ["coupling", "field"]
    if name in ("Potts", "Clock"):
        names.append("q")
    if name == "Clock":
        names.append("chirality")
    missing = [entry for entry in names if entry not in description]
    if missing:
        raise InvalidInputError(
            f"the description of the model has no {missing[0]!r}; accepted: what "
            "model.description() returns"
        )
    arguments = {entry: description[entry] for entry in names}
    return _MODELS[name](lattice.from_description(description), **arguments)
