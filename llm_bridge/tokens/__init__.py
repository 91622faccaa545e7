"""Anomalous tokens: those a model never learned, found in its weights and by what it does.

A tokenizer may hold tokens that the training text never held. Which of a model's numbers give them
away, its embeddings or its predictions? Import this package's functions from here or from the
modules; `llm_bridge.anomalous_tokens` computes the table they all work on.
"""

from __future__ import annotations

from llm_bridge.text.loops import loop_period, repeated_share
from llm_bridge.tokens.agreement import Agreement, agreement, auroc, overlap_at, spearman
from llm_bridge.tokens.anomalous import anomalous_tokens
from llm_bridge.tokens.bottom import Bottom
from llm_bridge.tokens.categories import CATEGORIES, token_categories, unused_rows
from llm_bridge.tokens.embeddings import embedding_indicators, extreme_rows
from llm_bridge.tokens.inversion import TextAtTemperature, gaussian_levels, texts_at_temperatures
from llm_bridge.tokens.prompts import cut_prompts, read_prompts
from llm_bridge.tokens.repetition import TEMPLATE, repeat_after_me
from llm_bridge.tokens.table import TokenTable

__all__ = [
    "anomalous_tokens",
    "TokenTable",
    "CATEGORIES",
    "token_categories",
    "unused_rows",
    "embedding_indicators",
    "extreme_rows",
    "Bottom",
    "TEMPLATE",
    "repeat_after_me",
    "Agreement",
    "agreement",
    "auroc",
    "spearman",
    "overlap_at",
    "cut_prompts",
    "read_prompts",
    "TextAtTemperature",
    "texts_at_temperatures",
    "gaussian_levels",
    "loop_period",
    "repeated_share",
]
