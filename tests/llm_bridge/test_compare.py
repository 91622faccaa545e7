"""The comparison: every row with its error, the exact curve hit, the seed kept, bad input told."""

from __future__ import annotations

import hashlib
import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import log_softmax

import llm_bridge
from llm_bridge.brownian import effective_temperature
from llm_bridge.compare import B_GRID, DEFAULT_POSITIONS, DEFAULT_SIGMAS, Comparison, compare
from llm_bridge.errors import ModelNotFoundError, RecordFileError, TextTooShortError
from llm_bridge.logits import LogitRecord, record_logits
from llm_bridge.model_side import noise_rows
from llm_bridge.models import LanguageModel
from llm_bridge.tables import tables
from thermo.errors import InvalidInputError, TautologyWarning

SEED = 20261120
POSITIONS = 60
SIGMAS = (0.2, 0.05)  # given out of order on purpose
SMALL: dict[str, Any] = {
    "positions": POSITIONS,
    "sigmas": SIGMAS,
    "draws": 4,
    "lattice_size": 8,
    "sweeps": 2000,
}


@pytest.fixture(scope="module")
def text_file(tmp_path_factory: pytest.TempPathFactory, text: str) -> Path:
    path = tmp_path_factory.mktemp("text") / "read me.txt"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def comparison(model_folder: Path, text_file: Path) -> Comparison:
    return compare(model=model_folder, text=text_file, seed=SEED, **SMALL)


@pytest.fixture(scope="module")
def found(comparison: Comparison) -> dict[str, Any]:
    return json.loads(comparison.to_json(), parse_constant=refuse)


@pytest.fixture(scope="module")
def record(model: LanguageModel, text: str) -> LogitRecord:
    return record_logits(model, text, POSITIONS)


def refuse(name: str) -> None:
    raise AssertionError(f"{name} is no JSON (RFC 8259)")


def numbers(values: list[Any]) -> np.ndarray:
    """JSON numbers back to floats: "inf" and "-inf" are strings, None is NaN."""
    return np.array([math.nan if v is None else float(v) for v in values])


# ------------------------------------------------------------------------------------------------
# every row is there


def test_four_systems_in_order_and_a_row_for_every_noise(comparison: Comparison) -> None:
    assert [s.kind for s in comparison.systems] == ["paramagnet", "ising", "unbounded", "logits"]
    assert comparison.model_system is comparison.systems[3]
    assert [row.sigma for row in comparison.noise] == sorted(SIGMAS)
    assert comparison.no_noise_reason == ""


def test_the_axis_runs_from_plus_to_minus_infinity(comparison: Comparison) -> None:
    for system in comparison.systems:
        b = system.curve.b
        assert (np.diff(b[np.isfinite(b)]) < 0).all()
        assert b[0] == math.inf
        if system.kind != "unbounded":
            assert b[-1] == -math.inf
            assert (b == 0).sum() == 1
            # as many points on the hot side as on the cold one, the model's own β = 1 apart
            assert abs((b > 0).sum() - (b < 0).sum()) <= 1
    assert B_GRID[B_GRID.size // 2] == 0.0


def test_the_sampled_lattice_has_its_exact_curve_beside_it(comparison: Comparison) -> None:
    exact = [s.kind for s in comparison.systems if s.exact is not None]
    assert exact == ["ising"]
    line = comparison.systems[1].exact
    assert not line.energy.error.any()
    sampled = comparison.systems[1].curve
    assert sampled.beta.size == 49  # README says so
    for b in (*B_GRID, *sampled.b):  # an exact value beside every point
        assert np.isclose(line.b, b, rtol=1e-12, atol=1e-12).any()
    assert (np.diff(line.b) <= 0).all()


def test_defaults_are_those_of_the_issue() -> None:
    import inspect

    defaults = {k: p.default for k, p in inspect.signature(compare).parameters.items()}
    assert DEFAULT_POSITIONS >= 500
    assert defaults["lattice_size"] == 32
    assert len(DEFAULT_SIGMAS) >= 3
    assert min(DEFAULT_SIGMAS) > 0
    assert llm_bridge.compare is compare


def test_contexts_are_averaged_and_their_spread_is_shown(
    comparison: Comparison, record: LogitRecord
) -> None:
    """Against a plain average over positions with nothing of ours but the logits."""
    curve = comparison.model_system.curve
    z = record.logits[:, record.valid].astype(np.float64)
    assert curve.unit == "position"
    assert comparison.model_system.details["positions"] == POSITIONS
    assert comparison.model_system.details["vocabulary"] == record.valid.sum() < z.shape[1] + 1
    assert curve.log_states == pytest.approx(np.log(z.shape[1]))
    assert curve.scale == pytest.approx(np.sqrt(z.var(axis=1).mean()), rel=1e-9)
    for beta in (1.0, -1.0 / curve.scale):
        k = int(np.argmin(np.abs(curve.beta - beta)))
        assert curve.beta[k] == pytest.approx(beta, rel=1e-12)
        log_p = log_softmax(beta * z, axis=1)
        p = np.exp(log_p)
        entropy = -(p * log_p).sum(axis=1)
        energy = -(p * (z - z.mean(axis=1, keepdims=True))).sum(axis=1)
        variance = (p * z**2).sum(axis=1) - (p * z).sum(axis=1) ** 2
        assert curve.entropy.value[k] == pytest.approx(entropy.mean(), rel=1e-9)
        assert curve.energy.value[k] == pytest.approx(energy.mean() / curve.scale, rel=1e-9)
        assert curve.heat_capacity.value[k] == pytest.approx(beta**2 * variance.mean(), rel=1e-9)
        low, high = np.quantile(entropy, (0.1, 0.9))
        assert curve.spread["entropy"][:, k] == pytest.approx([low, high], rel=1e-9)
    for band in curve.spread.values():
        assert (band[0] <= band[1]).all()


def test_along_every_curve_entropy_is_the_integral_of_b_du(comparison: Comparison) -> None:
    """dS = b du from one grid point to the next, quenched average or not."""
    for system in comparison.systems:
        curve = system.exact or system.curve
        least = 0.8 if system.kind == "unbounded" else 0.0  # its u grows as 1/b
        inner = np.flatnonzero((np.abs(curve.b) <= 2.0 + 1e-9) & (np.abs(curve.b) >= least))
        b, u, s = curve.b[inner], curve.energy.value[inner], curve.entropy.value[inner]
        steps = (b[1:] + b[:-1]) / 2 * np.diff(u)
        # the trapezoid misses a twelfth of step² times the curvature of u(b), which reaches 5 on
        # the flanks of the lattice's peak: about 5e-4 of a whole step
        assert np.diff(s) == pytest.approx(steps, abs=2e-3 + 2e-3 * np.abs(steps).max())


# ------------------------------------------------------------------------------------------------
# every number has its error


QUANTITIES = ("u", "entropy", "heat_capacity", "effective_states", "log_participation_ratio")


def test_every_sampled_number_has_a_finite_error(found: dict[str, Any]) -> None:
    for system in found["systems"]:
        curve = system["curve"]
        b = numbers(curve["b"])
        for name in QUANTITIES:
            value, error = numbers(curve[name]["value"]), numbers(curve[name]["error"])
            assert value.shape == error.shape == b.shape
            assert np.isfinite(value).all()
            assert np.isfinite(error).all(), (system["kind"], name)
            if system["kind"] in ("paramagnet", "unbounded"):
                assert not error.any()  # exact
                continue
            # known without sampling: ground and top state; counting and C = 0 at β = 0
            exact = np.isinf(b) | ((b == 0) & (name != "u"))
            assert (error[~exact] > 0).all(), (system["kind"], name)


def test_every_noise_row_has_its_errors(found: dict[str, Any]) -> None:
    assert len(found["weight_noise"]) == len(SIGMAS)
    for row in found["weight_noise"]:
        fit = row["effective_temperature"]
        for name in (
            "temperature", "residual_kl", "disagreement", "aleatoric", "entropy_mean",
            "entropy_clean", "beta_entropy", "temperature_entropy", "top1_flips",
        ):  # fmt: skip
            assert math.isfinite(fit[name]), name
            assert 0 < fit[f"{name}_error"] < math.inf, name
        assert 0 < fit["stderr"] < math.inf
        assert fit["draws"] == SMALL["draws"]
        assert fit["positions"] == POSITIONS
        for name in ("energy", "entropy", "heat_capacity"):
            assert 0 < row[name]["error"] < math.inf
        assert row["softmax_at_same_temperature"]["entropy"]["error"] > 0
        line = row["boltzmann_plot"]
        assert line["b"] is None  # nothing was put in
        assert all(e > 0 for e in line["error"])
        assert line["fitted_error"] > 0


def test_boltzmann_lines_of_the_lattice_have_errors_and_those_of_softmax_none(
    found: dict[str, Any],
) -> None:
    lines = found["systems"][1]["boltzmann_plot"]
    assert {math.copysign(1, line["b"]) for line in lines if line["b"]} == {1.0, -1.0}
    for line in lines:
        assert len(line["u"]) >= 2
        assert all(e > 0 for e in line["error"])
        assert line["fitted_error"] > 0
    # softmax of the very logits is exactly straight, and says so
    for line in found["systems"][3]["boltzmann_plot"]:
        assert not any(line["error"])
        assert line["fitted_b"] == line["b"]
        u, y = numbers(line["u"]), numbers(line["y"])
        assert y == pytest.approx(-line["b"] * u, abs=1e-9)


def test_beta_is_read_off_the_sampled_lattice_within_its_error(comparison: Comparison) -> None:
    lines = comparison.systems[1].occupations
    z = np.array([(line.fitted_b - line.b) / line.fitted_error for line in lines])
    # nine independent runs; false alarm 1e-4 altogether. The coldest run sees about a hundred
    # excitations, so a tenth of an error is added for its skewness.
    assert np.abs(z).max() < stats.norm.isf(1e-4 / (2 * z.size)) + 0.1


# ------------------------------------------------------------------------------------------------
# sampled against exact


def test_the_lattice_agrees_with_the_exact_finite_size_values(comparison: Comparison) -> None:
    system = comparison.systems[1]
    agreement = system.details["agreement"]
    # At |β| > 0.85 a run of this length sees a handful of excitations: Poisson, not normal.
    here = np.abs(system.curve.beta) < 0.85
    assert here.sum() == 43
    energy, capacity, entropy = (
        np.asarray(agreement[f"z_{name}"])[here] for name in ("energy", "heat_capacity", "entropy")
    )
    # Energies: independent runs with errors from thousands of draws, so normal; false alarms of
    # 5e-5 for the worst one and for the sum of squares (43 degrees of freedom).
    assert np.abs(energy).max() < stats.norm.isf(5e-5 / (2 * energy.size))
    assert np.sum(energy**2) < stats.chi2.isf(5e-5, energy.size)
    # Jackknife over 20 replicas: Student's t with 19 degrees of freedom; 5e-5 each.
    bound = stats.t.isf(5e-5 / (2 * energy.size), 19)
    assert np.abs(capacity).max() < bound
    assert np.abs(entropy).max() < bound


def test_the_agreement_is_recomputed_from_the_json(found: dict[str, Any]) -> None:
    system = found["systems"][1]
    beta, z = numbers(system["curve"]["beta"]), numbers(system["details"]["agreement"]["z_energy"])
    from thermo.canonical import canonical
    from thermo.exact.density_of_states import ising_torus

    exact = ising_torus(8)
    u = numbers(system["curve"]["u"]["value"])
    error = numbers(system["curve"]["u"]["error"])
    truth = canonical(exact, beta).internal_energy / (64 * system["curve"]["sigma0"])
    finite = np.isfinite(beta)
    assert (u - truth)[finite] == pytest.approx((z * error)[finite], abs=1e-12)
    assert u[~finite] == pytest.approx(truth[~finite])
    agreement = system["details"]["agreement"]
    assert agreement["points"] == finite.sum() == 47
    assert agreement["worst_z_energy"] == pytest.approx(np.abs(z).max())
    # by chance above once in 1000 runs, both signs, 47 points
    assert 2 * 47 * stats.norm.sf(agreement["bound_z"]) == pytest.approx(1e-3)


def test_negative_control_another_lattice_does_not_agree(comparison: Comparison) -> None:
    """The same z-scores against the 6×6 torus must be far outside the bound."""
    from thermo.canonical import canonical
    from thermo.exact.density_of_states import ising_torus

    curve = comparison.systems[1].curve
    here = np.abs(curve.beta) < 0.85
    wrong = canonical(ising_torus(6), curve.beta[here]).internal_energy / (36 * curve.scale)
    with np.errstate(divide="ignore"):
        z = (curve.energy.value[here] - wrong) / curve.energy.error[here]
    assert np.abs(z).max() > 10


# ------------------------------------------------------------------------------------------------
# weight noise against softmax temperature


def test_noise_rows_fulfil_their_identities(comparison: Comparison, record: LogitRecord) -> None:
    scale = comparison.model_system.curve.scale
    z = record.logits[:, record.valid].astype(np.float64)
    z -= z.mean(axis=1, keepdims=True)
    for row in comparison.noise:
        fit = row.effective
        assert fit.residual_kl > -3 * fit.residual_kl_error
        assert fit.disagreement > 0
        assert fit.entropy_mean == pytest.approx(fit.aleatoric + fit.disagreement)
        # softmax at the fitted T has the mean distribution's energy ...
        log_p = log_softmax(fit.beta * z, axis=1)
        energy = -(np.exp(log_p) * z).sum(axis=1).mean() / scale
        assert float(row.energy.value) == pytest.approx(energy, abs=1e-8)
        # ... and an entropy that is larger by exactly the residual: with the bias of few draws
        # put back, because only raw numbers are of one distribution
        entropy = -(np.exp(log_p) * log_p).sum(axis=1).mean()
        assert float(row.softmax_entropy.value) == pytest.approx(entropy, rel=1e-9)
        raw_entropy = fit.entropy_mean + fit.finite_draw_bias["entropy_mean"]
        raw_residual = fit.residual_kl + fit.finite_draw_bias["residual_kl"]
        assert entropy - raw_entropy == pytest.approx(raw_residual, abs=1e-8)
        assert raw_residual >= 0
        assert float(row.entropy.value) == fit.entropy_mean
        assert row.occupation.fitted_b == pytest.approx(fit.beta * scale)


def test_more_noise_is_hotter_and_disagrees_more(comparison: Comparison) -> None:
    weak, strong = comparison.noise
    assert strong.effective.temperature > weak.effective.temperature > 1
    assert strong.effective.disagreement > weak.effective.disagreement


def test_softmax_temperature_neither_flips_nor_disagrees(record: LogitRecord) -> None:
    """What the JSON states as zeros is measured here with the same estimator."""
    warm = np.stack([record.logits / np.float32(1.6)] * 4)
    fit = effective_temperature(record.logits, warm, record.valid)
    assert fit.temperature == pytest.approx(1.6, rel=1e-6)
    assert fit.top1_flips == 0.0
    assert fit.disagreement == pytest.approx(0.0, abs=1e-9)
    assert fit.residual_kl == pytest.approx(0.0, abs=1e-9)


def test_the_contrast_row_states_zeros(found: dict[str, Any]) -> None:
    for row in found["weight_noise"]:
        contrast = row["softmax_at_same_temperature"]
        assert contrast["temperature"] == row["effective_temperature"]["temperature"]
        assert contrast["residual_kl"] == contrast["disagreement"] == contrast["top1_flips"] == 0


def test_the_model_is_left_as_it_was(model: LanguageModel, text: str, record: LogitRecord) -> None:
    before = {k: v.clone() for k, v in model.torch_module.state_dict().items()}
    ids = model.encode(text)[:POSITIONS]
    ticks: list[int] = []
    noise_rows(
        model, ids, record, scale=1.0, sigmas=(0.5,), draws=4, seed=SEED,
        tick=lambda: ticks.append(1),
    )  # fmt: skip
    after = model.torch_module.state_dict()
    assert before.keys() == after.keys()
    assert all(bool((before[k] == after[k]).all()) for k in before)
    assert not model.torch_module.training
    assert len(ticks) == 1


def test_the_model_s_files_are_left_as_they_were(
    comparison: Comparison, model_folder: Path
) -> None:
    (weights,) = model_folder.glob("*.safetensors")
    provenance = comparison.settings["provenance"]
    assert provenance["weights_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()


# ------------------------------------------------------------------------------------------------
# seeds


def without_times(comparison: Comparison) -> dict[str, Any]:
    document = json.loads(comparison.to_json())
    assert document.pop("seconds")
    return document


def test_same_seed_same_document_another_seed_another(
    comparison: Comparison, model_folder: Path, text_file: Path
) -> None:
    first = without_times(comparison)
    again = without_times(compare(model=model_folder, text=text_file, seed=SEED, **SMALL))
    assert again == first
    other = without_times(compare(model=model_folder, text=text_file, seed=SEED + 1, **SMALL))
    assert other["systems"][0] == first["systems"][0]
    assert other["systems"][3] == first["systems"][3]  # reading a text is not random
    assert other["systems"][1]["curve"] != first["systems"][1]["curve"]
    for mine, theirs in zip(other["weight_noise"], first["weight_noise"], strict=True):
        assert mine["effective_temperature"]["beta"] != theirs["effective_temperature"]["beta"]


# ------------------------------------------------------------------------------------------------
# JSON


def test_json_is_strict_and_survives_a_round_trip(
    comparison: Comparison, found: dict[str, Any]
) -> None:
    assert found["schema"] == "spinlogit.compare/1"
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found == json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    comparison.to_json().encode("utf-8")


def test_infinities_are_strings_and_missing_numbers_null(found: dict[str, Any]) -> None:
    for system in found["systems"]:
        assert system["curve"]["beta"][0] == system["curve"]["b"][0] == "inf"
    assert found["systems"][0]["curve"]["beta"][-1] == "-inf"
    assert found["systems"][2]["curve"]["log_states"] == "inf"
    none = [
        entry
        for system in found["systems"]
        for entry in system["degrees_of_freedom"]
        if entry["value"] is None
    ]
    assert none
    assert all(entry["reason"] for entry in none)  # never a gap without a word


def test_json_says_how_it_was_made(found: dict[str, Any], model_folder: Path) -> None:
    settings = found["settings"]
    assert settings["model"] == model_folder.name
    assert settings["logits"] is None
    assert settings["text"] == "read me.txt"
    assert settings["sigmas"] == sorted(SIGMAS)
    for name in ("positions", "draws", "lattice_size", "sweeps"):
        assert settings[name] == SMALL[name]
    assert settings["seed"] == SEED
    assert {"python", "numpy", "numba", "torch", "machine"} <= found["versions"].keys()
    hashes = [v for k, v in settings["provenance"].items() if k.endswith("sha256")]
    assert len(hashes) == 3
    assert all(re.fullmatch("[0-9a-f]{64}", h) for h in hashes)


# ------------------------------------------------------------------------------------------------
# tables


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


# ------------------------------------------------------------------------------------------------
# the system that must stop


def test_the_oscillator_stops_at_beta_zero_and_says_why(
    comparison: Comparison, found: dict[str, Any]
) -> None:
    (oscillator,) = [s for s in comparison.systems if s.kind == "unbounded"]
    assert (oscillator.curve.b > 0).all()
    assert oscillator.curve.b.min() < 0.01
    assert "β = 0" in oscillator.curve.ends
    assert "no upper bound" in oscillator.curve.ends
    assert found["systems"][2]["curve"]["ends"] == oscillator.curve.ends
    assert " ".join(oscillator.curve.ends.split()) in " ".join(comparison.table().split())
    assert all(s["curve"]["ends"] is None for k, s in enumerate(found["systems"]) if k != 2)
    assert oscillator.curve.heat_capacity.value[-1] == pytest.approx(1.0, abs=1e-4)


# ------------------------------------------------------------------------------------------------
# saved logits in place of a model


def saved(folder: Path, logits: np.ndarray, name: str = "saved.npz") -> Path:
    path = folder / name
    LogitRecord(logits, np.ones(len(logits), dtype=int)).save(path)
    return path


def test_saved_logits_need_no_model_and_have_no_noise(
    tmp_path: Path, record: LogitRecord, comparison: Comparison
) -> None:
    record.save(tmp_path / "saved.npz")
    other = compare(logits=tmp_path / "saved.npz", lattice_size=4, sweeps=1000, seed=SEED)
    assert other.noise == ()
    assert "weights" in other.no_noise_reason
    document = json.loads(other.to_json(), parse_constant=refuse)
    assert document["weight_noise"] == []
    assert document["no_weight_noise_because"] == other.no_noise_reason
    assert document["settings"]["logits"] == "saved.npz"
    assert document["settings"]["text"] is None
    assert document["settings"]["model"] is None
    mine, theirs = other.model_system.curve, comparison.model_system.curve
    assert mine.name == "saved logits"
    assert mine.entropy.value == pytest.approx(theirs.entropy.value)
    assert len(tables(other)) == 3


def test_no_noise_may_be_asked_for(model_folder: Path, text_file: Path) -> None:
    quiet = compare(
        model=model_folder, text=text_file, positions=10, sigmas=(), lattice_size=4, sweeps=1000
    )
    assert quiet.noise == ()
    assert quiet.no_noise_reason


@pytest.mark.parametrize("kind", ["tiny", "masked", "two levels", "alike", "large", "small"])
def test_unusual_logits(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(SEED)
    z = rng.normal(size=(30, 20)).astype(np.float32)
    if kind == "tiny":
        z = z[:2, :3]
    elif kind == "masked":  # another token at every position, and one column throughout
        z[np.arange(30), rng.integers(1, 20, 30)] = -np.inf
        z[:, 0] = np.finfo(np.float32).min
    elif kind == "two levels":
        z[:, 2:] = -np.inf
        z[:, :2] = (0.0, 1.0)
    elif kind == "alike":
        z[:] = z[0]
    elif kind == "large":
        z *= 1000.0
    elif kind == "small":
        z *= 1e-6
    found = compare(logits=saved(tmp_path, z), lattice_size=4, sweeps=1000, seed=SEED)
    curve = found.model_system.curve
    for measured in (curve.energy, curve.entropy, curve.heat_capacity):
        assert np.isfinite(measured.value).all()
        assert np.isfinite(measured.error).all()
    for line in found.model_system.occupations:
        assert line.u.size >= 1
        assert line.y == pytest.approx(-line.b * line.u, abs=1e-6 * max(1.0, curve.scale))
    if kind == "two levels":
        k = int(np.argmin(np.abs(curve.b - 1.0)))
        assert curve.energy.value[k] == pytest.approx(-math.tanh(1.0))
    if kind == "masked":
        assert found.model_system.details["vocabulary"] == 19
    json.loads(found.to_json(), parse_constant=refuse)
    assert found.table()
    found.plot()


# ------------------------------------------------------------------------------------------------
# bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positions": 1}, "positions = 1; an integer ≥ 2"),
        ({"positions": 0}, "positions = 0"),
        ({"positions": -5}, "positions = -5"),
        ({"positions": 10.5}, "positions = 10.5"),
        ({"positions": True}, "positions = True"),
        ({"positions": "many"}, "positions = 'many'"),
        ({"draws": 2}, "draws = 2; an integer ≥ 4"),
        ({"draws": 5}, "draws = 5; an even number"),
        ({"lattice_size": 7}, "lattice size = 7; an even number"),
        ({"lattice_size": 2}, "lattice size = 2"),
        ({"lattice_size": 66}, "lattice size = 66"),
        ({"sweeps": 999}, "sweeps = 999; an integer ≥ 1000"),
        ({"sweeps": 0}, "sweeps = 0"),
        ({"seed": -1}, "seed = -1; an integer ≥ 0"),
        ({"seed": 0.5}, "seed = 0.5"),
        ({"sigmas": (-0.1,)}, "sigma = -0.1; a number above 0 and at most 10"),
        ({"sigmas": (0.0,)}, "sigma = 0.0"),
        ({"sigmas": (0.1, math.nan)}, "sigma = nan"),
        ({"sigmas": (math.inf,)}, "sigma = inf"),
        ({"sigmas": ("big",)}, "sigma = 'big'"),
    ],
)
def test_impossible_settings_are_refused_before_any_work(
    change: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worked(*args: object, **kwargs: object) -> None:
        raise AssertionError("work was begun")

    # by the module table: llm_bridge.compare is the function, which has its module's name
    monkeypatch.setattr(sys.modules["llm_bridge.compare"], "_read", worked)
    with pytest.raises(InvalidInputError, match=re.escape(message)) as caught:
        compare(**change)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_read_is_found_before_the_first_spin_is_flipped(
    model_folder: Path, text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flipped(*args: object, **kwargs: object) -> None:
        raise AssertionError("a spin was flipped")

    monkeypatch.setattr("llm_bridge.spin_side.simulate", flipped)
    empty = tmp_path / "empty.txt"
    empty.write_text(" \n\t\n")
    binary = tmp_path / "binary.txt"
    binary.write_bytes(b"caf\xe9")
    flat = saved(tmp_path, np.full((3, 4), 0.1), "flat.npz")
    one = saved(tmp_path, np.array([[0.0, 1.0]]), "one.npz")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.tex").write_text("years of work")
    for change, error, message in (
        ({"model": tmp_path / "nowhere"}, ModelNotFoundError, "no folder"),
        ({"model": tmp_path}, ModelNotFoundError, "no config.json"),
        ({"text": tmp_path / "nowhere.txt"}, InvalidInputError, "No such file"),
        ({"text": tmp_path}, InvalidInputError, "directory"),
        ({"text": empty}, InvalidInputError, "is empty"),
        ({"text": binary}, InvalidInputError, r"not UTF-8 text \(byte 3\)"),
        ({"text": text_file, "positions": 10**6}, TextTooShortError, "1000001 are needed"),
        ({"logits": tmp_path / "nowhere.npz", "model": "demo"}, RecordFileError, "no file"),
        ({"logits": flat, "model": "demo"}, InvalidInputError, "all logits are equal"),
        ({"logits": one, "model": "demo"}, InvalidInputError, "at least 2 are needed"),
        ({"logits": flat, "text": text_file, "model": "demo"}, InvalidInputError, "give one"),
        ({"logits": flat}, InvalidInputError, "give one"),
        ({"out": tmp_path / "foreign"}, InvalidInputError, "no comparison wrote"),
    ):
        with pytest.raises(error, match=message) as caught:
            compare(**{"model": model_folder, **change})
        assert "\n" not in str(caught.value)
    assert (tmp_path / "foreign" / "thesis.tex").read_text() == "years of work"


def test_no_tautology_slips_through(
    recwarn: pytest.WarningsRecorder, model_folder: Path, text_file: Path
) -> None:
    """Nothing the comparison fits is fitted against itself."""
    compare(model=model_folder, text=text_file, seed=1, **SMALL | {"lattice_size": 4})
    assert not [w for w in recwarn if issubclass(w.category, TautologyWarning)]


def test_a_saved_record_may_be_shortened_but_takes_no_weight_noise(
    record: LogitRecord, tmp_path: Path
) -> None:
    record.save(tmp_path / "record.npz")
    small = {"lattice_size": 4, "sweeps": 1000}
    found = compare(logits=tmp_path / "record.npz", positions=5, **small)
    assert found.settings["positions"] == 5
    assert found.noise == ()
    with pytest.raises(InvalidInputError, match="saved logits have none"):
        compare(logits=tmp_path / "record.npz", sigmas=(0.1,), **small)
    with pytest.raises(InvalidInputError, match="at least 100000 are needed"):
        compare(logits=tmp_path / "record.npz", positions=100_000, **small)


def test_noise_reads_only_as_many_positions_as_fit(
    model_folder: Path, record: LogitRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clean and noisy logits come from the same, shorter text: at tiny σ they agree."""
    from llm_bridge import model_side
    from llm_bridge.models import load_model

    model = load_model(model_folder)
    ids = model.encode("The temperature of a system says how its entropy grows. " * 8)[:90]
    clean = LogitRecord(model.logits(ids), ids, model.valid)
    monkeypatch.setattr(model_side, "_DRAW_BYTES", 4 * 4 * clean.logits.shape[1] * 70)
    (row,) = model_side.noise_rows(
        model, ids, clean, scale=1.0, sigmas=(1e-5,), draws=4, seed=0, tick=lambda: None
    )
    assert row.effective.positions == 70
    assert row.effective.residual_kl < 1e-6
    assert row.effective.top1_flips == 0
