"""One small comparison, drawn and saved once for all tests of the report."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from llm_bridge.compare import Comparison, compare


@pytest.fixture(scope="session")
def comparison(
    model_folder: Path, text: str, tmp_path_factory: pytest.TempPathFactory
) -> Comparison:
    path = tmp_path_factory.mktemp("text") / "essay.txt"
    path.write_text(text, encoding="utf-8")
    return compare(
        model=model_folder, text=path, positions=40, sigmas=(0.05, 0.1, 0.2), draws=4,
        lattice_size=8, sweeps=1000, seed=20261120,
    )  # fmt: skip


@pytest.fixture(scope="session")
def without_noise(comparison: Comparison) -> Comparison:
    return replace(comparison, noise=(), no_noise_reason="Weight noise needs the weights.")


@pytest.fixture(scope="session")
def folder(comparison: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison that was saved; tests copy it before they change anything."""
    path = tmp_path_factory.mktemp("out") / "deep" / "compare"
    comparison.save(path)
    return path


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of one pixel: these tests are about files."""
    dot = io.BytesIO()
    Figure(figsize=(1, 1)).savefig(dot, format="png", dpi=1)
    monkeypatch.setattr("llm_bridge.pictures.panel_png", lambda comparison, name: dot.getvalue())
    monkeypatch.setattr("llm_bridge.pictures.overview", lambda comparison: Figure(figsize=(1, 1)))
