"""The option that names a language model."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["ModelOption"]

ModelOption = Annotated[
    str, typer.Option("--model", help='"demo" or the folder of a Hugging Face causal model.')
]
