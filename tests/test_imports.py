"""Imports run one way, and importing the packages stays light."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("thermo", "llm_bridge")

# Lowest first. A module may import from its own line and from the lines above it; a package stands
# for all its modules. The roots come last: what they gather is theirs to import, not the reverse.
ORDER = (
    # physics
    (
        "thermo.errors",
        "thermo.arguments",
        "thermo.atomic_write",
        "thermo.memory",
        "thermo.paths",
        "thermo.printable",
        "thermo.result_files",
        "thermo.versions",
    ),
    ("thermo.temperature", "thermo.physical_units"),
    ("thermo.kernels",),
    ("thermo.levels", "thermo.populations"),
    ("thermo.canonical",),
    ("thermo.microcanonical", "thermo.freedom", "thermo.thermometry"),
    ("thermo.curves", "thermo.occupation"),
    ("thermo.lattice", "thermo.models", "thermo.exact"),
    ("thermo.sampling",),
    ("thermo.estimate",),
    ("thermo.run",),
    ("thermo.laboratory", "thermo.ebm"),
    ("thermo.plots",),
    ("thermo.cli",),
    ("thermo",),
    # language models
    ("llm_bridge.errors",),
    ("llm_bridge.demo_model",),
    (
        "llm_bridge.module_locks",
        "llm_bridge.models",
        "llm_bridge.stored_logits",
        "llm_bridge.logit_arrays",
        "llm_bridge.logits",
        "llm_bridge.strict_json",
        "llm_bridge.record_files",
        "llm_bridge.tail_bounds",
        "llm_bridge.top_logprobs",
        "llm_bridge.logprob_dumps",
    ),
    ("llm_bridge.level_histogram", "llm_bridge.error_bounds"),
    ("llm_bridge.binned_spectrum", "llm_bridge.quenched", "llm_bridge.quantised"),
    ("llm_bridge.spectrum",),
    (
        "llm_bridge.decoding",
        "llm_bridge.sequences",
        "llm_bridge.brownian",
        "llm_bridge.langevin",
    ),
    ("llm_bridge.kin",),
    ("llm_bridge.text",),
    ("llm_bridge.tokens", "llm_bridge.sweep"),
    ("llm_bridge.readings", "llm_bridge.noise_floor"),
    ("llm_bridge.system", "llm_bridge.token_occupation"),
    ("llm_bridge.spin_side", "llm_bridge.model_side"),
    # How a comparison is shown: these take a Comparison, and it opens them when asked to be shown.
    ("llm_bridge.sentences", "llm_bridge.tables", "llm_bridge.pictures"),
    ("llm_bridge.report",),
    ("llm_bridge.compare",),
    ("llm_bridge.lecture",),
    ("llm_bridge.commands",),
    ("llm_bridge.cli",),
    ("llm_bridge",),
)

KERNEL_CALLERS = ("thermo.exact", "thermo.sampling", "thermo.laboratory", "thermo.ebm")
KERNEL_IMPORTS = ("numba", "llvmlite", "numpy", "thermo.kernels")  # llvmlite: numba's own LLVM
DRAWING = (
    "thermo.plots",
    "llm_bridge.pictures",
    "llm_bridge.brownian.picture",
    "llm_bridge.text.pictures",
    "llm_bridge.decoding.picture",
    "llm_bridge.sweep.picture",
    "llm_bridge.tokens.pictures",
    "llm_bridge.report",
    "llm_bridge.lecture",
)
NOT_PHYSICS = ("llm_bridge", "torch", "transformers", "tokenizers", "safetensors")

# Of llm_bridge only these may load torch as soon as they are imported.
TORCH_AT_ONCE = (
    "llm_bridge.demo_model",
    "llm_bridge.decoding",
    "llm_bridge.brownian.quantised_linear",
    "llm_bridge.kin",
)


# ------------------------------------------------------------------------------------------------
# reading the imports


class Reader(ast.NodeVisitor):
    """Collects (imported name, whether at once) of one module; TYPE_CHECKING blocks do not run."""

    def __init__(self, known: set[str]) -> None:
        self.known = known
        self.found: set[tuple[str, bool]] = set()
        self.depth = 0

    def visit_Import(self, node: ast.Import) -> None:
        self.found |= {(alias.name, self.depth == 0) for alias in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        assert node.level == 0, "imports are absolute here"
        for alias in node.names:
            submodule = f"{node.module}.{alias.name}"
            name = submodule if submodule in self.known else str(node.module)
            self.found.add((name, self.depth == 0))

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) not in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            self.generic_visit(node)
            return
        for child in node.orelse:
            self.visit(child)


def imports_of(source: str, known: set[str]) -> set[tuple[str, bool]]:
    reader = Reader(known)
    reader.visit(ast.parse(source))
    return reader.found


def modules() -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()
GRAPH = {
    name: imports_of(path.read_text(encoding="utf-8"), set(MODULES))
    for name, path in MODULES.items()
}


# ------------------------------------------------------------------------------------------------
# the rules


def inside(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def inside_any(module: str, packages: tuple[str, ...]) -> bool:
    return any(inside(module, package) for package in packages)


def rank(module: str) -> int | None:
    """Line of ORDER; a root stands for itself only, any other name for all that is in it."""
    for i, line in enumerate(ORDER):
        for name in line:
            if module == name or (name not in PACKAGES and inside(module, name)):
                return i
    return None


def violations(graph: dict[str, set[tuple[str, bool]]]) -> Iterator[str]:
    """One sentence for each import that runs the wrong way."""
    for module, imported in sorted(graph.items()):
        here = rank(module)
        if here is None:
            yield f"{module} has no place in ORDER"
            continue
        for name, at_once in sorted(imported):
            top = name.partition(".")[0]
            if top in PACKAGES:
                there = rank(name)
                if there is None or there > here:
                    yield f"{module} imports {name}, which is above it"
                if inside(name, "thermo.kernels") and not inside_any(
                    module, (*KERNEL_CALLERS, "thermo.kernels")
                ):
                    yield f"{module} imports {name}, a kernel"
            if inside(module, "thermo") and top in NOT_PHYSICS:
                yield f"{module} imports {name}: physics knows no language models"
            if inside(module, "thermo.kernels") and not (
                inside_any(name, KERNEL_IMPORTS) or top in sys.stdlib_module_names
            ):
                yield f"{module} imports {name}: kernels take numba and numpy only"
            if top == "matplotlib" and not inside_any(module, DRAWING):
                yield f"{module} imports {name}: drawing has its own place"
            if (
                top in ("torch", "transformers")
                and at_once
                and not inside_any(module, TORCH_AT_ONCE)
            ):
                yield f"{module} imports {name} at once; inside the function that needs it"


def test_the_tree_was_found() -> None:
    assert {"thermo", "thermo.canonical", "thermo.kernels", "llm_bridge.models"} <= set(MODULES)
    assert ("thermo.levels", True) in GRAPH["thermo.canonical"]


def test_imports_run_one_way() -> None:
    assert list(violations(GRAPH)) == []


def test_no_ring_of_imports_at_once() -> None:
    """Within a line of ORDER modules may know each other, but not in a ring."""
    remaining = {
        name: {i for i, at_once in imported if at_once and i in MODULES and i != name}
        for name, imported in GRAPH.items()
    }
    while free := [name for name, imported in remaining.items() if not imported]:
        for name in free:
            del remaining[name]
        for imported in remaining.values():
            imported.difference_update(free)
    assert sorted(remaining) == []


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("thermo.levels", "from thermo.canonical import canonical", "above it"),
        ("thermo.levels", "def f():\n    from thermo import canonical", "above it"),
        ("thermo.levels", "import thermo", "above it"),
        ("thermo.canonical", "from thermo.thermometry import fit_beta", "above it"),
        ("thermo.models.ising", "from thermo.run import simulate", "above it"),
        ("thermo.lattice", "import thermo.plots.style", "above it"),
        ("thermo.run.simulate", "from thermo.kernels import lanes", "a kernel"),
        ("thermo.kernels.lanes", "import thermo.errors", "kernels take"),
        ("thermo.kernels.lanes", "from scipy import special", "kernels take"),
        ("thermo.exact.onsager", "import matplotlib.pyplot as plt", "drawing"),
        ("thermo.ebm.learn", "class A:\n    def f(self):\n        import torch", "physics knows"),
        ("thermo.curves", "import llm_bridge.spectrum", "physics knows"),
        ("thermo.extra", "import numpy", "no place"),
        ("llm_bridge.logits", "from llm_bridge.brownian import noise", "above it"),
        ("llm_bridge.brownian.noise", "from llm_bridge.compare import compare", "above it"),
        ("llm_bridge.compare", "if True:\n    from llm_bridge import cli", "above it"),
        ("llm_bridge.compare", "import matplotlib", "drawing"),
        ("llm_bridge.spectrum", "try:\n    import torch\nexcept ImportError:\n    pass", "at once"),
    ],
)
def test_negative_control_a_bad_import_is_caught(module: str, source: str, complaint: str) -> None:
    found = list(violations({module: imports_of(source, set(MODULES))}))
    assert any(complaint in sentence for sentence in found), found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("thermo.thermometry", "from thermo.canonical import canonical\nimport scipy.optimize"),
        ("thermo.kernels.lanes", "import math, numba\nfrom thermo.kernels import modular"),
        ("thermo.canonical", "if TYPE_CHECKING:\n    from thermo.plots import axis"),
        ("llm_bridge.compare", "if TYPE_CHECKING:\n    import matplotlib"),
        ("llm_bridge.models", "def load():\n    import torch"),
        ("llm_bridge.cli", "import thermo"),
    ],
)
def test_a_good_import_is_not(module: str, source: str) -> None:
    assert list(violations({module: imports_of(source, set(MODULES))})) == []


# ------------------------------------------------------------------------------------------------
# what comes along


@pytest.mark.parametrize(
    ("package", "heavy"),
    [
        ("thermo", "torch transformers matplotlib numba scipy xarray pandas arviz_stats"),
        ("llm_bridge", "torch transformers tokenizers matplotlib numba"),
        ("llm_bridge.cli", "torch transformers tokenizers matplotlib numba"),
    ],
)
def test_importing_loads_nothing_heavy(package: str, heavy: str) -> None:
    code = f"import sys, {package}; print(*sorted(set({heavy.split()}) & set(sys.modules)))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == []
