"""A spin lattice and a language model side by side, over signed temperature."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thermo.errors import InvalidInputError
from thermo.printable import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from llm_bridge.logits import LogitRecord
    from llm_bridge.model_side import NoiseRow
    from llm_bridge.models import LanguageModel
    from llm_bridge.system import System

__all__ = ["DEFAULT_SIGMAS", "Comparison", "compare"]

DEFAULT_POSITIONS = 512
DEFAULT_SIGMAS = (0.05, 0.1, 0.2, 0.3, 0.4)

# Natural inverse temperatures at which exact curves and logits are evaluated: dense around 0,
# reaching ±∞; ±1, where degrees of freedom are compared, is among them.
_HALF = np.concatenate([np.linspace(0.1, 3.0, 30), np.geomspace(3.3, 60.0, 14), [np.inf]])
B_GRID = np.concatenate([_HALF[::-1], [0.0], -_HALF])


@dataclass(frozen=True, eq=False)
class Comparison:
    """The result of :func:`compare`.

    Attributes
    ----------
    systems : tuple of System
        Paramagnet, Ising lattice, oscillator, language model, in this order.
    noise : tuple of NoiseRow
        One per σ; empty if there are no weights to disturb.
    no_noise_reason : str
        Why ``noise`` is empty.
    settings, versions, seconds : dict
        How it was made.
    """

    systems: tuple[System, ...]
    noise: tuple[NoiseRow, ...]
    no_noise_reason: str
    settings: dict[str, Any]
    versions: dict[str, str]
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def model_system(self) -> System:
        """The language model's row."""
        return self.systems[-1]

    def table(self) -> str:
        """Plain-text tables for a terminal."""
        from llm_bridge.tables import as_text

        return as_text(self)

    def plot(self) -> Figure:
        """The picture with all panels."""
        from llm_bridge.pictures import overview

        return overview(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON types; ±inf as "inf" and "-inf", missing numbers as None."""
        from llm_bridge.report import document

        return document(self)

    def to_json(self) -> str:
        """Everything as one JSON document."""
        from llm_bridge.report import to_json

        return to_json(self)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the report, one self-contained HTML file."""
        from llm_bridge.report import write_html

        write_html(self, Path(path))

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write report.html, compare.png and compare.json, as a whole or not at all."""
        from llm_bridge.report import save

        save(self, Path(folder))


def compare(
    *,
    model: str | os.PathLike[str] = "demo",
    logits: str | os.PathLike[str] | None = None,
    text: str | os.PathLike[str] | None = None,
    positions: int | None = None,
    sigmas: Sequence[float] | None = None,
    draws: int = 16,
    lattice_size: int = 32,
    sweeps: int = 20_000,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> Comparison:
    r"""Compare a spin lattice and a language model on the same axes.

    Every system is brought to natural units, :math:`b = \beta\sigma_0` and
    :math:`u = (U - U_0)/\sigma_0` per unit (spin, oscillator, text position), and followed from
    β = +∞ through 0 to −∞.

    Parameters
    ----------
    model : str or path
        ``"demo"``, or the folder of a causal language model in Hugging Face format.
    logits : path, optional
        A saved :class:`llm_bridge.LogitRecord` in place of a model; there are then no weights
        and no rows with weight noise.
    text : path, optional
        A UTF-8 text file for the model to read. Default: text held out from the demo model.
    positions : int, optional
        How many positions are averaged over (quenched), at least 2. Default: 512 of a text, all
        of a saved record.
    sigmas : sequence of float, optional
        Strengths of weight noise relative to each tensor's rms, above 0 and at most 10; may be
        empty. Default: ``DEFAULT_SIGMAS``; none for saved logits, which have no weights.
    draws : int
        Noise draws per σ, an even number ≥ 4 (antithetic pairs).
    lattice_size : int
        L of the L×L Ising lattice, even.
    sweeps : int
        Monte Carlo sweeps at every β, at least 1000.
    seed : int
        Of everything random.
    out : path, optional
        Folder to write report.html, compare.png and compare.json to. It is checked before any
        work is done; a folder written by an earlier comparison is replaced as a whole, any other
        folder that is not empty is refused.
    progress : bool
        Show a progress bar on standard error.

    Returns
    -------
    Comparison

    Raises
    ------
    InvalidInputError
        Impossible settings, an unusable output folder or text.
    ModelNotFoundError, RecordFileError, TextTooShortError
        The model or the record cannot be read, or the text is too short.

    Notes
    -----
    Temperatures of logits are per position: the product of tempered conditionals is not the
    tempered joint distribution of a text. Energies of one position do not interact, so nothing
    here says that text thermalises.

    References
    ----------
    E. M. Purcell and R. V. Pound, Phys. Rev. 81, 279 (1951);
    N. F. Ramsey, Phys. Rev. 103, 20 (1956).

    Examples
    --------
    A small one; with its defaults it takes up to a minute:

    >>> small = compare(positions=40, sigmas=(), lattice_size=8, sweeps=1000)
    >>> len(small.systems), small.settings["positions"]
    (4, 40)
    """
    if sigmas is None:
        sigmas = DEFAULT_SIGMAS if logits is None else ()
    _check_settings(positions, sigmas, draws, lattice_size, sweeps, seed)
    if out is not None:
        from llm_bridge.report import check_folder

        check_folder(Path(out))
    # Whatever a user may have got wrong is found before the first spin is flipped.
    record, network, ids = _read(model, logits, text, positions, sigmas)
    _check_spread(record)

    from llm_bridge.model_side import logit_system, noise_rows
    from llm_bridge.spin_side import ising, oscillator, paramagnet

    sigmas = tuple(sorted(float(s) for s in sigmas))
    with closing(_Clock(4 + len(sigmas), progress)) as clock:
        spins = [paramagnet(B_GRID)]
        spins.append(ising(lattice_size, B_GRID, sweeps=sweeps, seed=seed))
        clock.tick("Ising lattice")
        spins.append(oscillator(B_GRID))
        name = f"model '{printable(network.name)}'" if network is not None else "saved logits"
        never_met = () if network is None else network.metadata.get("never_met_token_ids", ())
        tokens = logit_system(record, B_GRID, name, never_met=len(never_met))
        clock.tick("logits over β")
        rows: list[NoiseRow] = []
        if network is not None:
            rows = noise_rows(
                network,
                ids,
                record,
                scale=tokens.curve.scale,
                sigmas=sigmas,
                draws=draws,
                seed=seed,
                tick=lambda: clock.tick("weight noise"),
            )
        comparison = Comparison(
            systems=(*spins, tokens),
            noise=tuple(rows),
            no_noise_reason=_why_no_noise(network, sigmas),
            settings={
                "model": Path(model).name if logits is None else None,
                "logits": None if logits is None else Path(logits).name,
                "text": _name_of_text(text) if logits is None else None,
                "positions": len(record),
                "sigmas": list(sigmas),
                "draws": draws if sigmas else None,
                "lattice_size": lattice_size,
                "sweeps": sweeps,
                "seed": seed,
                "provenance": dict(record.provenance),
            },
            versions=_versions(),
            seconds=clock.seconds,
        )
        if out is not None:
            comparison.save(out)
        clock.tick("report")
    return comparison


def _check_settings(
    positions: int | None,
    sigmas: Sequence[float],
    draws: int,
    lattice_size: int,
    sweeps: int,
    seed: int,
) -> None:
    for name, value, least in (
        ("positions", 2 if positions is None else positions, 2),
        ("draws", draws, 4),
        ("lattice size", lattice_size, 4),
        ("sweeps", sweeps, 1000),
        ("seed", seed, 0),
    ):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise InvalidInputError(f"{name} = {value!r}; an integer ≥ {least} is accepted.")
    if draws % 2:
        raise InvalidInputError(f"draws = {draws}; an even number is accepted (mirrored pairs).")
    if lattice_size % 2 or lattice_size > 32:
        raise InvalidInputError(
            f"lattice size = {lattice_size}; an even number from 4 to 32 is accepted (odd rings "
            "are frustrated at β < 0; beyond 32 the sampled β lie too far apart to be joined)."
        )
    for sigma in sigmas:
        if not (isinstance(sigma, int | float | np.number) and 0 < sigma <= 10):
            raise InvalidInputError(
                f"sigma = {sigma!r}; a number above 0 and at most 10 is accepted (at 10 the noise "
                "is ten times the weights)."
            )


def _read(
    model: str | os.PathLike[str],
    logits: str | os.PathLike[str] | None,
    text: str | os.PathLike[str] | None,
    positions: int | None,
    sigmas: Sequence[float],
) -> tuple[LogitRecord, LanguageModel | None, np.ndarray]:
    """The clean logits, and the model with what it read if there is one."""
    from llm_bridge.logits import LogitRecord, record_logits
    from llm_bridge.models import load_model

    if logits is not None:
        if text is not None or str(model) != "demo":
            raise InvalidInputError("--logits takes the place of --model and --text: give one.")
        if sigmas:
            raise InvalidInputError(
                "--logits and --sigma: weight noise needs a model's weights; saved logits have "
                "none. Leave --sigma out, or give --model."
            )
        record = LogitRecord.load(logits)
        wanted = max(2, len(record)) if positions is None else int(positions)
        if len(record) < wanted:
            raise InvalidInputError(
                f"{logits} holds {len(record)} position(s); at least {wanted} are needed."
            )
        shorter = replace(
            record, logits=record.logits[:wanted], token_ids=record.token_ids[:wanted]
        )
        return shorter, None, np.zeros(0, dtype=np.int64)
    positions = DEFAULT_POSITIONS if positions is None else int(positions)
    words = _read_text(text)
    network = load_model(model)
    record = record_logits(network, words, positions)
    return record, network, network.encode(words)[:positions]


def _check_spread(record: LogitRecord) -> None:
    """Equal logits everywhere have no energy scale, and nothing happens at any temperature."""
    from llm_bridge.spectrum import natural_scale

    if not natural_scale(record.logits, record.valid) > 0:
        raise InvalidInputError(
            f"at each of the {len(record)} positions all logits are equal; energies that differ "
            "are needed."
        )


def _why_no_noise(network: LanguageModel | None, sigmas: Sequence[float]) -> str:
    if network is None:
        return "Weight noise needs the weights: saved logits have none."
    return "" if len(sigmas) else "No weight noise was asked for."


def _name_of_text(path: str | os.PathLike[str] | None) -> str:
    return "held-out text of the demo model" if path is None else Path(path).name


def _read_text(path: str | os.PathLike[str] | None) -> str:
    from llm_bridge.models import DEMO_WEIGHTS
    from llm_bridge.text.files import read_text

    return read_text(DEMO_WEIGHTS / "held_out.txt" if path is None else path)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("spinlogit", "numpy", "scipy", "numba", "torch", "transformers"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    found["machine"] = f"{platform.machine()}, {os.cpu_count()} logical cores"
    return found


class _Clock:
    """Progress on standard error, and the seconds each stage took."""

    def __init__(self, stages: int, progress: bool) -> None:
        from thermo.run.progress_bar import progress_bar

        self.bar = progress_bar(progress, stages, unit="stage", what="reading text")
        self.bar.update(1)
        self.seconds: dict[str, float] = {}
        self.last = time.perf_counter()

    def tick(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = round(self.seconds.get(stage, 0.0) + now - self.last, 3)
        self.last = now
        self.bar.set_description(stage)
        self.bar.update(1)

    def close(self) -> None:
        self.bar.close()
