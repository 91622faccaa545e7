"""One small comparison of the tiny model, made once for all tests of `compare`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_comparison import POSITIONS, SEED, SMALL, refuse

from llm_bridge.compare import Comparison, compare
from llm_bridge.logits import LogitRecord, record_logits
from llm_bridge.models import LanguageModel


@pytest.fixture(scope="session")
def text_file(tmp_path_factory: pytest.TempPathFactory, text: str) -> Path:
    path = tmp_path_factory.mktemp("text") / "read me.txt"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def comparison(model_folder: Path, text_file: Path) -> Comparison:
    return compare(model=model_folder, text=text_file, seed=SEED, **SMALL)


@pytest.fixture(scope="session")
def found(comparison: Comparison) -> dict[str, Any]:
    return json.loads(comparison.to_json(), parse_constant=refuse)


@pytest.fixture(scope="session")
def record(model: LanguageModel, text: str) -> LogitRecord:
    return record_logits(model, text, POSITIONS)
