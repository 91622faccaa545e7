"""Update rules: how a model's states are walked through at a given signed β."""

from __future__ import annotations
