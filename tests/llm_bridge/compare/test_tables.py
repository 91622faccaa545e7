"""The tables: the numbers of the JSON, rounded by their errors."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from small_comparison import numbers

from llm_bridge.compare import Comparison
from llm_bridge.tables import tables


def read_cell(cell: str) -> tuple[float, float]:
    """Value and error of "−0.512(13)", "12.3(1.5)", "0.6931", "∞"."""
    match = re.fullmatch(r"([−+]?(?:∞|[\d.]+(?:e[−-]?\d+)?))(?:\(([\d.]+)\))?(e[−-]?\d+)?", cell)
    assert match, cell
    value, error, power = match.groups()
    value = value.replace("−", "-").replace("∞", "inf")
    factor = 10 ** float((power or "e0")[1:].replace("−", "-"))
    if error is None:
        return float(value) * factor, 0.0
    if "." not in error:
        decimals = len(value.partition(".")[2])
        return float(value) * factor, int(error) * 10**-decimals * factor
    return float(value) * factor, float(error) * factor


def test_cells_are_read_back() -> None:
    assert read_cell("−0.512(13)") == pytest.approx((-0.512, 0.013))
    assert read_cell("12.3(1.5)") == pytest.approx((12.3, 1.5))
    assert read_cell("1234(68)") == pytest.approx((1234, 68))
    assert read_cell("∞")[0] == math.inf


def assert_cell(cell: str, value: float, error: float = 0.0) -> None:
    shown, bracket = read_cell(cell)
    if math.isinf(value):
        assert shown == value
        return
    assert (bracket > 0) == (error > 0), cell
    assert shown == pytest.approx(value, abs=max(0.06 * error, 6e-4 * abs(value)))
    assert bracket == pytest.approx(error, rel=0.06)


def at(curve: dict[str, Any], name: str, b: float) -> tuple[float, float]:
    k = int(np.argmin(np.abs(numbers(curve["b"]) - b)))
    assert float(curve["b"][k]) == pytest.approx(b, rel=1e-6)
    return curve[name]["value"][k], curve[name]["error"][k]


def test_the_table_shows_the_numbers_of_the_json(
    comparison: Comparison, found: dict[str, Any]
) -> None:
    side, noise, freedom, thermometer = tables(comparison)
    for row, system in zip(side.rows, found["systems"], strict=True):
        curve = system["curve"]
        cells = dict(zip(side.columns, row, strict=True))
        assert cells.pop("system") == curve["name"]
        assert_cell(cells.pop("σ₀"), curve["sigma0"], system["details"].get("sigma0_error", 0.0))
        assert_cell(cells.pop("S₀"), float(curve["log_states"]))
        for column, cell in cells.items():
            sign = -1.0 if "−1" in column or "hot" in column else 1.0
            if system["kind"] == "unbounded" and sign < 0:
                assert cell == "–"
            elif system["kind"] == "unbounded" and column.startswith("C max"):
                assert cell == "→ 1 as b → 0"  # a limit, not a maximum
            elif column.startswith("C max"):
                b = numbers(curve["b"])
                capacity = numbers(curve["heat_capacity"]["value"])
                k = np.flatnonzero((np.sign(b) == sign) & np.isfinite(b))
                k = k[np.argmax(capacity[k])]
                cell, where = cell.split(" at ")
                assert_cell(cell, capacity[k], curve["heat_capacity"]["error"][k])
                assert float(where.replace("−", "-")) == pytest.approx(b[k], abs=0.006)
            else:
                name = {"u": "u", "S": "entropy", "C": "heat_capacity"}[column[0]]
                assert_cell(cell, *at(curve, name, sign))
    assert noise.rows[0][0].startswith("clean")
    for row, softmax, item in zip(
        noise.rows[1::2], noise.rows[2::2], found["weight_noise"], strict=True
    ):
        fit = item["effective_temperature"]
        cells = dict(zip(noise.columns, row, strict=True))
        assert f"{item['sigma']:g}" in cells["decoder"]
        for column, value, error in (
            ("fitted T", fit["temperature"], fit["temperature_error"]),
            ("residual KL", fit["residual_kl"], fit["residual_kl_error"]),
            ("disagreement", fit["disagreement"], fit["disagreement_error"]),
            ("entropy", item["entropy"]["value"], item["entropy"]["error"]),
            ("C/k", item["heat_capacity"]["value"], item["heat_capacity"]["error"]),
            ("top-1 flips %", 100 * fit["top1_flips"], 100 * fit["top1_flips_error"]),
        ):
            assert_cell(cells[column], value, error)
        states = item["effective_states"]
        assert_cell(cells["eff. tokens"], states["value"], states["error"])
        plain = dict(zip(noise.columns, softmax, strict=True))
        contrast = item["softmax_at_same_temperature"]
        assert float(plain["fitted T"]) == pytest.approx(contrast["temperature"], abs=6e-4)
        for column in ("residual KL", "disagreement", "top-1 flips %"):
            assert plain[column] == "0"
        assert_cell(plain["entropy"], contrast["entropy"]["value"], contrast["entropy"]["error"])
        for column, name in (("eff. tokens", "effective_states"), ("C/k", "heat_capacity")):
            assert_cell(plain[column], contrast[name]["value"], contrast[name]["error"])
    for k, row in enumerate(freedom.rows):
        for cell, system in zip(row[1:], found["systems"], strict=True):
            entry = system["degrees_of_freedom"][k]
            assert entry["definition"] == row[0]
            if entry["value"] is None:
                mark = re.fullmatch(r"– (\[\d+\])", cell)
                assert mark
                assert f"{mark[1]} {entry['reason']}" in freedom.remark
            else:
                assert_cell(cell, entry["value"], entry["error"])
    scale = found["systems"][1]["curve"]["sigma0"]
    for row, line in zip(thermometer.rows, found["systems"][1]["boltzmann_plot"], strict=True):
        assert float(row[0].replace("−", "-")) == pytest.approx(line["b"] / scale, rel=6e-4)
        assert_cell(row[1], line["fitted_b"] / scale, line["fitted_error"] / scale)


def test_the_table_is_plain_text_of_a_terminal_s_width(comparison: Comparison) -> None:
    shown = comparison.table()
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) <= 120
    for table in tables(comparison):
        assert table.title in " ".join(shown.split())
        for row in table.rows:
            assert row[0] in shown


def test_degrees_of_freedom_each_by_its_own_definition(comparison: Comparison) -> None:
    names = [[entry.definition for entry in s.freedom] for s in comparison.systems]
    assert all(each == names[0] for each in names)
    for system in comparison.systems:
        curve = system.curve
        for sign, mark in ((1, "+"), (-1, "−")):
            if system.kind == "unbounded" and sign < 0:
                continue
            k = int(np.argmin(np.abs(curve.b - sign)))
            by_name = {entry.definition: entry for entry in system.freedom}
            states = by_name[f"effective states, exp(S/k), b = {mark}1"]
            assert states.value == pytest.approx(np.exp(curve.entropy.value[k]))
            share = by_name[f"participation ratio, 1/Σp², b = {mark}1"]
            assert share.value == pytest.approx(np.exp(curve.log_participation.value[k]))
            modes = by_name[f"heat-capacity equivalent, 2C/k, b = {mark}1"]
            assert modes.value == pytest.approx(2 * curve.heat_capacity.value[k])
            # 1/Σp² never exceeds exp(S), for each position and so for the averages
            assert share.value <= states.value * (1 + 1e-9) + 5 * (states.error + share.error)
    oscillator = {e.definition.split(",")[0]: e.value for e in comparison.systems[2].freedom}
    assert oscillator["equipartition"] == 2.0
    assert oscillator["kinetic"] == 1.0
