"""The comparison as files: JSON, a self-contained HTML report, and their folder."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llm_bridge.errors import MissingExtraError
from llm_bridge.tables import tables
from thermo.curves import Curve, Measured
from thermo.errors import InvalidInputError
from thermo.occupation import Occupation
from thermo.printable import printable

if TYPE_CHECKING:
    from llm_bridge.compare import Comparison

__all__ = ["SCHEMA", "check_folder", "document", "save", "to_json", "write_html"]

SCHEMA = "spinlogit.compare/1"

_FILES = ("report.html", "compare.png", "compare.json")
_SCRATCH = ".spinlogit-"


def document(comparison: Comparison) -> dict[str, Any]:
    """Everything measured, with errors, as JSON types.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    dict
        ±inf appear as "inf" and "-inf", numbers that do not exist as None.
    """
    return _plain(
        {
            "schema": SCHEMA,
            "settings": comparison.settings,
            "versions": comparison.versions,
            "seconds": comparison.seconds,
            "systems": [
                {
                    "kind": system.kind,
                    "curve": _curve(system.curve),
                    "exact": None if system.exact is None else _curve(system.exact),
                    "boltzmann_plot": [_occupation(line) for line in system.occupations],
                    "degrees_of_freedom": [asdict(entry) for entry in system.freedom],
                    "details": system.details,
                }
                for system in comparison.systems
            ],
            "clean_model_at_temperature_1": _clean(comparison),
            "weight_noise": [
                {
                    "sigma": row.sigma,
                    "effective_temperature": asdict(row.effective),
                    "energy": _measured(row.energy),
                    "entropy": _measured(row.entropy),
                    "heat_capacity": _measured(row.heat_capacity),
                    "effective_states": _measured(_states(row.entropy)),
                    "softmax_at_same_temperature": {
                        "temperature": row.effective.temperature,
                        "entropy": _measured(row.softmax_entropy),
                        "effective_states": _measured(_states(row.softmax_entropy)),
                        "heat_capacity": _measured(row.softmax_heat_capacity),
                        "residual_kl": 0.0,
                        "disagreement": 0.0,
                        "top1_flips": 0.0 if row.effective.beta > 0 else None,
                    },
                    "boltzmann_plot": _occupation(row.occupation),
                }
                for row in comparison.noise
            ],
            "no_weight_noise_because": comparison.no_noise_reason or None,
        }
    )


def to_json(comparison: Comparison) -> str:
    """One JSON document (RFC 8259: no NaN, no Infinity)."""
    return json.dumps(document(comparison), allow_nan=False, ensure_ascii=False, indent=1)


def write_html(comparison: Comparison, path: Path) -> None:
    """Write the report with all pictures inside it.

    Parameters
    ----------
    comparison : Comparison
    path : Path
        File to write; an existing one is replaced.

    Raises
    ------
    InvalidInputError
        The folder does not exist or cannot be written to.
    """
    html = _render(comparison)
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, suffix=".part", delete=False
        ) as part:
            part.write(html)
        try:
            os.chmod(part.name, 0o644)  # temporary files are private; a report is to be shared
            os.replace(part.name, path)
        except BaseException:
            os.unlink(part.name)
            raise
    except OSError as error:
        raise InvalidInputError(f"cannot write {path}: {error.strerror}.") from error


def check_folder(folder: Path) -> None:
    """Refuse an output folder that could not be written, or whose content is not ours.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    InvalidInputError
        Not a folder, not writable, or holding files that no comparison wrote.
    MissingExtraError
        jinja2, which writes the report, is not installed.
    """
    try:
        import jinja2  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("jinja2", "a report") from error
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()) or folder.name == "..":
        raise InvalidInputError(f"{folder} is not a folder; name a new or an empty one with --out.")
    if folder.is_dir() and any(folder.iterdir()) and not _is_ours(folder):
        raise InvalidInputError(
            f"the folder {folder} holds files that no comparison wrote, and replacing it would "
            "lose them; name a new or an empty one with --out."
        )
    if folder.is_dir() and folder.samefile(Path.cwd()):
        raise InvalidInputError(
            "the output folder is put in place as a whole, which the folder you are in cannot be; "
            "name one inside it with --out."
        )
    parent = folder.absolute().parent
    while not parent.exists():
        parent = parent.parent
    try:
        # Permissions do not tell: disks are read-only or full, and /proc is no place for files.
        with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=parent):
            pass
    except OSError as error:
        raise InvalidInputError(
            f"cannot write to {parent}, where {folder} would be made ({error.strerror}); name "
            "another with --out."
        ) from error


def save(comparison: Comparison, folder: Path) -> None:
    """Write the three files (and one picture per panel) into a folder, all of them or none.

    They are written beside the folder first; an earlier comparison there is replaced at the end.

    Parameters
    ----------
    comparison : Comparison
    folder : Path

    Raises
    ------
    InvalidInputError
        See :func:`check_folder`.
    """
    from llm_bridge.pictures import PANELS, overview, panel_png

    check_folder(folder)
    folder = folder.absolute()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=folder.parent) as scratch:
            new = Path(scratch) / "new"
            (new / "panels").mkdir(parents=True)
            pictures = {name: panel_png(comparison, name) for name in PANELS}
            for name, png in pictures.items():
                (new / "panels" / f"{name}.png").write_bytes(png)
            overview(comparison).savefig(new / "compare.png", dpi=110)
            (new / "report.html").write_text(_render(comparison, pictures), encoding="utf-8")
            (new / "compare.json").write_text(to_json(comparison) + "\n", encoding="utf-8")
            _exchange(new, folder, Path(scratch) / "old")
    except OSError as error:
        raise InvalidInputError(f"cannot write {folder}: {error.strerror}.") from error


def _exchange(new: Path, folder: Path, old: Path) -> None:
    """Put ``new`` in the place of ``folder``; if that fails, what was there comes back."""
    try:
        if folder.exists():
            os.rename(folder, old)
        os.rename(new, folder)
    except BaseException:
        if old.exists() and not folder.exists():
            os.rename(old, folder)
        raise


def _is_ours(folder: Path) -> bool:
    from llm_bridge.pictures import PANELS

    ours = {*_FILES, "panels", *(f"panels/{name}.png" for name in PANELS)}
    names = {entry.relative_to(folder).as_posix() for entry in folder.rglob("*")}
    if not names <= ours or "compare.json" not in names:
        return False
    try:
        with open(folder / "compare.json", encoding="utf-8") as file:
            return f'"schema": "{SCHEMA}"' in file.read(200)
    except (OSError, UnicodeDecodeError):
        return False


def _render(comparison: Comparison, pictures: dict[str, bytes] | None = None) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from llm_bridge.pictures import PANELS, panel_png
    from llm_bridge.sentences import sentences

    if pictures is None:
        pictures = {name: panel_png(comparison, name) for name in PANELS}
    environment = Environment(
        loader=PackageLoader("llm_bridge", "templates"),
        autoescape=True,  # names of models and files come from outside
        finalize=lambda value: printable(value) if isinstance(value, str) else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        comparison=comparison,
        tables=tables(comparison),
        panels=[
            {
                "name": name,
                "title": title,
                "data": base64.b64encode(pictures[name]).decode("ascii"),
            }
            for name, (title, _) in PANELS.items()
        ],
        text=sentences(comparison),
    )


def _curve(curve: Curve) -> dict[str, Any]:
    return {
        "name": curve.name,
        "unit": curve.unit,
        "sigma0": curve.scale,
        "log_states": curve.log_states,
        "ends": curve.ends or None,
        "beta": curve.beta,
        "b": curve.b,
        "u": _measured(curve.energy),
        "entropy": _measured(curve.entropy),
        "heat_capacity": _measured(curve.heat_capacity),
        "effective_states": _measured(curve.effective_states),
        "log_participation_ratio": _measured(curve.log_participation),
        "between_contexts_10_90_percent": curve.spread,
    }


def _states(entropy: Measured) -> Measured:
    """exp(S/k) with the error carried over to first order."""
    states = np.exp(entropy.value)
    return Measured(states, states * entropy.error)


def _clean(comparison: Comparison) -> dict[str, Any]:
    """The undisturbed model at its own temperature, the first row of the noise table."""
    curve = comparison.model_system.curve
    k = int(np.argmin(np.abs(curve.beta - 1.0)))
    return {
        name: {"value": quantity.value[k], "error": quantity.error[k]}
        for name, quantity in (
            ("energy", curve.energy),
            ("entropy", curve.entropy),
            ("heat_capacity", curve.heat_capacity),
            ("effective_states", curve.effective_states),
        )
    }


def _measured(measured: Measured) -> dict[str, Any]:
    return {"value": measured.value, "error": measured.error}


def _occupation(line: Occupation) -> dict[str, Any]:
    return asdict(line)


def _plain(value: Any) -> Any:
    """JSON types: lists for arrays, strings for infinities, None for NaN."""
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, str):  # a file name that is not UTF-8 holds lone surrogates
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, float) and not np.isfinite(value):
        return None if np.isnan(value) else ("inf" if value > 0 else "-inf")
    return value
