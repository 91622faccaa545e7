"""A short text for the tiny model, and what the model's head reads of it."""

from __future__ import annotations

import numpy as np
import pytest

from llm_bridge.models import LanguageModel


@pytest.fixture(scope="session")
def ids(model: LanguageModel, text: str) -> np.ndarray:
    return model.encode(text)[:20]


@pytest.fixture(scope="session")
def hidden(model: LanguageModel, ids: np.ndarray) -> np.ndarray:
    """Last hidden states (N, d)."""
    import torch

    with torch.no_grad():
        out = model.torch_module.model(input_ids=torch.from_numpy(ids)[None])
    return out.last_hidden_state[0].double().numpy()
