"""Kernels with a mistake in their source, which tests must find."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType


def mistaken(kernel: ModuleType, *changes: tuple[str, str]) -> ModuleType:
    """Return the kernel's module with each `right` of (right, wrong) replaced wherever it stands.

    It is compiled anew and not kept: a mistake must never come out of the cache of kernels.
    """
    source = Path(str(kernel.__file__)).read_text(encoding="utf-8").replace("cache=True, ", "")
    for right, wrong in changes:
        assert right in source, right
        source = source.replace(right, wrong)
    name = f"mistaken_{kernel.__name__.rpartition('.')[2]}"
    spec = importlib.util.spec_from_loader(name, loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    exec(compile(source, name, "exec"), module.__dict__)
    return module
