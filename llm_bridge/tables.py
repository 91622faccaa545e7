"""The comparison as tables of short strings, for the terminal and for the report."""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING

import numpy as np

from thermo.curves import Curve, Measured
from thermo.estimate.autocorrelation import rounded_to_error

if TYPE_CHECKING:
    from llm_bridge.compare import Comparison

__all__ = ["Table", "as_text", "tables"]


@dataclass(frozen=True)
class Table:
    """A titled table of strings with a remark under it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    remark: str = ""


def tables(comparison: Comparison) -> list[Table]:
    """All tables of a comparison.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    list of Table
    """
    found = [_systems(comparison), _freedom(comparison), _thermometers(comparison)]
    if comparison.noise:
        found.insert(1, _noise(comparison))
    return found


def as_text(comparison: Comparison, width: int = 120) -> str:
    """All tables as plain text.

    Parameters
    ----------
    comparison : Comparison
    width : int
        Characters per line.

    Returns
    -------
    str
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    console = Console(file=StringIO(), width=width, no_color=True, highlight=False)
    for table in tables(comparison):
        shown = RichTable(
            title=Text(table.title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
        )
        for k, column in enumerate(table.columns):
            shown.add_column(Text(column), justify="left" if k == 0 else "right")
        for row in table.rows:
            shown.add_row(*(Text(cell) for cell in row))
        console.print(shown)
        if table.remark:
            console.print(Text(table.remark), soft_wrap=False)
            console.print()
    return console.file.getvalue().rstrip()  # type: ignore[attr-defined]


def _number(value: float | None, error: float | None = 0.0, digits: int = 4) -> str:
    if value is None or np.isnan(value):
        return "–"
    if error and np.isfinite(error):
        return rounded_to_error(value, error).replace("-", "−", 1)
    if np.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.{digits}g}".replace("-", "−")


def _at(measured: Measured, curve: Curve, b: float) -> str:
    """Value with error at a natural β, or a dash where the curve does not reach."""
    k = int(np.argmin(np.abs(curve.b - b)))
    if not np.isclose(curve.b[k], b, rtol=1e-6):
        return "–"
    return _number(float(measured.value[k]), float(measured.error[k]))


def _peak(curve: Curve, side: float) -> str:
    """Largest heat capacity at β of one sign, and where."""
    here = np.flatnonzero((np.sign(curve.b) == side) & np.isfinite(curve.b))
    if here.size == 0:
        return "–"
    k = here[np.argmax(curve.heat_capacity.value[here])]
    if curve.ends and curve.b[k] == curve.b.min():
        return f"→ {curve.heat_capacity.value[k]:.3g} as b → 0"
    value = _number(float(curve.heat_capacity.value[k]), float(curve.heat_capacity.error[k]))
    return f"{value} at {curve.b[k]:+.2f}".replace("-", "−")


def _systems(comparison: Comparison) -> Table:
    rows = []
    for system in comparison.systems:
        curve = system.curve
        rows.append(
            (
                curve.name,
                _number(curve.scale, system.details.get("sigma0_error", 0.0)),
                _number(curve.log_states),
                _at(curve.entropy, curve, 1.0),
                _at(curve.entropy, curve, -1.0),
                _peak(curve, 1.0),
                _peak(curve, -1.0),
            )
        )
    remarks = [
        "σ₀ in half gaps (paramagnet; the oscillator borrows it), J (lattice), nats (logits). "
        "C max: the largest C among the β computed, and its b."
    ]
    remarks += [f"{s.curve.name}: {s.curve.ends}" for s in comparison.systems if s.curve.ends]
    return Table(
        "Side by side, per spin, oscillator or position: b = βσ₀, S and C in units of k",
        (
            "system",
            "σ₀",
            "S₀",
            "S at b=+1",
            "S at b=−1",
            "C max, cold",
            "C max, hot",
        ),
        tuple(rows),
        " ".join(remarks),
    )


def _noise(comparison: Comparison) -> Table:
    rows = [_clean_row(comparison)]
    for row in comparison.noise:
        fit = row.effective
        rows.append(
            (
                f"noise σ = {row.sigma:g}",
                _number(fit.temperature, fit.temperature_error),
                _number(fit.residual_kl, fit.residual_kl_error),
                _number(fit.disagreement, fit.disagreement_error),
                _number(fit.entropy_mean, fit.entropy_mean_error),
                _number(
                    np.exp(fit.entropy_mean), np.exp(fit.entropy_mean) * fit.entropy_mean_error
                ),
                _number(float(row.heat_capacity.value), float(row.heat_capacity.error)),
                _number(100 * fit.top1_flips, 100 * fit.top1_flips_error),
            )
        )
        entropy, error = float(row.softmax_entropy.value), float(row.softmax_entropy.error)
        rows.append(
            (
                "· softmax at that T",
                f"{fit.temperature:.3f}",
                "0",
                "0",
                _number(entropy, error),
                _number(np.exp(entropy), np.exp(entropy) * error),
                _number(
                    float(row.softmax_heat_capacity.value), float(row.softmax_heat_capacity.error)
                ),
                "0" if fit.beta > 0 else "–",
            )
        )
    return Table(
        "Weight noise against softmax temperature (nats per position)",
        (
            "decoder",
            "fitted T",
            "residual KL",
            "disagreement",
            "entropy",
            "eff. tokens",
            "C/k",
            "top-1 flips %",
        ),
        tuple(rows),
        "Residual KL: what no temperature explains. Disagreement: mutual information between the "
        "token and the noise draw. Softmax at any T > 0 has neither, and never changes the most "
        f"likely token.{_fewer_positions(comparison)}",
    )


def _fewer_positions(comparison: Comparison) -> str:
    read = comparison.noise[0].effective.positions
    whole = comparison.model_system.details["positions"]
    return "" if read == whole else f" Read at the first {read} of {whole} positions (memory)."


def _clean_row(comparison: Comparison) -> tuple[str, ...]:
    curve = comparison.model_system.curve
    native = int(np.argmin(np.abs(curve.beta - 1.0)))
    entropy = curve.entropy
    return (
        "clean model, T = 1",
        "1",
        "0",
        "0",
        _number(float(entropy.value[native]), float(entropy.error[native])),
        _number(
            float(np.exp(entropy.value[native])),
            float(np.exp(entropy.value[native]) * entropy.error[native]),
        ),
        _number(float(curve.heat_capacity.value[native]), float(curve.heat_capacity.error[native])),
        "0",
    )


def _freedom(comparison: Comparison) -> Table:
    notes: list[str] = []
    rows = []
    for k, entry in enumerate(comparison.systems[0].freedom):
        cells = [entry.definition]
        for system in comparison.systems:
            item = system.freedom[k]
            if item.value is not None:
                cells.append(_number(item.value, item.error))
                continue
            if item.reason not in notes:
                notes.append(item.reason)
            cells.append(f"– [{notes.index(item.reason) + 1}]")
        rows.append(tuple(cells))
    remark = "; ".join(f"[{n}] {reason}" for n, reason in enumerate(notes, start=1))
    return Table(
        "Degrees of freedom, each by its own definition (per unit)",
        ("definition", *(system.curve.name for system in comparison.systems)),
        tuple(rows),
        remark,
    )


def _thermometers(comparison: Comparison) -> Table:
    """β put in against β read off the populations of the sampled lattice."""
    ising = comparison.systems[1]
    rows = []
    for line in ising.occupations:
        z = (line.fitted_b - line.b) / line.fitted_error
        rows.append(
            (
                _number(line.b / ising.curve.scale),
                _number(line.fitted_b / ising.curve.scale, line.fitted_error / ising.curve.scale),
                f"{z:+.1f}".replace("-", "−"),
            )
        )
    agreement = ising.details["agreement"]
    return Table(
        "Thermometer: β read off the sampled energies of the Ising lattice (units of 1/J)",
        ("β put in", "β read off ln(p/g)", "difference / error"),
        tuple(rows),
        f"Energy against the exact finite-size value at {agreement['points']} β of both signs: "
        f"worst |z| = {agreement['worst_z_energy']:.2f} "
        f"(by chance above {agreement['bound_z']:.2f} in at most one of 1000 runs). "
        + " ".join(f"Warning: {text}" for text in ising.details["warnings"]),
    )
