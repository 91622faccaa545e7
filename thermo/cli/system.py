"""Options that describe a spin model, and the model they describe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from thermo.arguments import one_of
from thermo.errors import InvalidInputError
from thermo.printable import printable

__all__ = ["choice", "spin_model"]


MODELS = ("ising", "potts", "clock", "xy", "heisenberg")
LATTICES = ("chain", "square", "triangular", "honeycomb", "cubic")
DISORDERS = ("none", "bimodal", "gaussian")


def choice(name: str, names: tuple[str, ...], about: str) -> Any:
    """An option for one of some names. `one_of` checks it, and says which is nearest."""
    return typer.Option(name, metavar=f"<{'|'.join(names)}>", help=about)


ModelOption = Annotated[str, choice("--model", MODELS, "What stands on the sites.")]
LatticeOption = Annotated[
    str | None, choice("--lattice", LATTICES, "Which are neighbours.  [square]")
]
SizeOption = Annotated[
    int | None, typer.Option("--size", help="L: sites (cells) along each side.  [16]")
]
OpenOption = Annotated[bool, typer.Option("--open", help="Open edges instead of a torus.")]
GraphOption = Annotated[
    Path | None,
    typer.Option("--graph", help="Text file of edges, two sites a line, as the lattice."),
]
StatesOption = Annotated[
    int | None, typer.Option("--q", help="States of a Potts or clock spin.  [3]")
]
CouplingOption = Annotated[float, typer.Option("--coupling", help="J, in the unit of energy.")]
FieldOption = Annotated[float, typer.Option("--field", help="h, in the unit of energy.")]
ChiralityOption = Annotated[float, typer.Option("--chirality", help="Δ of the chiral clock.")]
DisorderOption = Annotated[
    str, choice("--disorder", DISORDERS, "Random couplings ±J or Gaussian (Ising).")
]


def spin_model(
    name: str,
    lattice_name: str | None,
    size: int | None,
    open_edges: bool,
    graph: Path | None,
    q: int | None,
    coupling: float,
    field: float,
    chirality: float,
    disorder: str,
    seed: int,
) -> Any:
    """Build the model that the options describe."""
    from thermo import lattice as lattices
    from thermo import models

    name = one_of(name, "--model", MODELS)
    disorder = one_of(disorder, "--disorder", DISORDERS)
    if graph is not None:
        if lattice_name is not None or size is not None or open_edges:
            raise InvalidInputError(
                "--graph was given together with --lattice, --size or --open; accepted: a graph, "
                "or a lattice and its size"
            )
        lattice = _graph(graph)
    else:
        named = "square" if lattice_name is None else lattice_name
        make = getattr(lattices, one_of(named, "--lattice", LATTICES))
        lattice = make(16 if size is None else size, periodic=not open_edges)
    if q is not None and name not in ("potts", "clock"):
        raise InvalidInputError(
            f"--q was given for {name}; accepted: --model potts or --model clock"
        )
    q = 3 if q is None else q
    if chirality and name != "clock":
        raise InvalidInputError(f"--chirality was given for {name}; accepted: --model clock")
    if disorder != "none":
        if name != "ising":
            raise InvalidInputError(f"--disorder was given for {name}; accepted: --model ising")
        signs = models.spin_glass(lattice, law=disorder, seed=seed)
        return models.Ising(lattice, coupling=coupling * signs.couplings, field=field)
    if name == "ising":
        return models.Ising(lattice, coupling=coupling, field=field)
    if name == "potts":
        return models.Potts(lattice, q, coupling=coupling, field=field)
    if name == "clock":
        return models.Clock(lattice, q, coupling=coupling, field=field, chirality=chirality)
    kind = models.XY if name == "xy" else models.Heisenberg
    return kind(lattice, coupling=coupling, field=field)


def _graph(path: Path) -> Any:
    """Read a text file of edges: two whole numbers a line, comments after #."""
    from thermo.lattice import from_edges

    shown = printable(str(path))
    edges = []
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{shown} is not UTF-8 text; accepted: two sites a line") from error
    except OSError as error:
        raise InvalidInputError(
            f"--graph {shown} cannot be read ({error.strerror}); accepted: a text file with two "
            "sites a line"
        ) from error
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or not all(word.isascii() and word.isdecimal() for word in words):
            raise InvalidInputError(
                f"line {number} of {shown} is {line.strip()[:40]!r}; accepted: two sites "
                "0, 1, 2, … a line"
            )
        edges.append([int(word) for word in words])
    if not edges:
        raise InvalidInputError(f"{shown} has no edges; accepted: two sites a line")
    most = max(max(pair) for pair in edges)
    if most > 2**31 - 2:
        raise InvalidInputError(f"{shown} has a site {most}; accepted: 0 … {2**31 - 2}")
    return from_edges(most + 1, np.array(edges), name=path.stem)
