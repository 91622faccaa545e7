"""The text that the demo model was made from, and the files it is shipped as."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer

import llm_bridge.demo_model
from llm_bridge.demo_model.corpus import Corpus, read_corpus


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    return read_corpus()


@pytest.fixture(scope="session")
def weights() -> Path:
    """The folder that is shipped."""
    return Path(llm_bridge.demo_model.__file__).parent / "weights"


@pytest.fixture(scope="session")
def bundled_tokenizer(weights: Path) -> Tokenizer:
    return Tokenizer.from_file(str(weights / "tokenizer.json"))
