"""The option ``--dask``: the work of a command on the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from thermo.errors import InvalidInputError
from thermo.printable import printable

if TYPE_CHECKING:
    from concurrent.futures import Executor

__all__ = ["DaskOption", "executor_at"]

DaskOption = Annotated[
    str | None, typer.Option("--dask", help="Address of a Dask scheduler that has workers.")
]


@contextmanager
def executor_at(address: str | None) -> Iterator[Executor | None]:
    """Give the executor of a Dask cluster, or none."""
    if address is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise InvalidInputError(
            "--dask needs dask.distributed, which is not installed; accepted: "
            "pip install 'spinlogit[distributed]'"
        ) from error
    try:
        client = Client(address, timeout="5s")
    except (OSError, ValueError, TimeoutError) as error:
        raise InvalidInputError(
            f"no Dask scheduler answers at {printable(address)!r}; accepted: the address that "
            "'dask scheduler' prints, such as tcp://127.0.0.1:8786"
        ) from error
    with client:
        yield client.get_executor()
