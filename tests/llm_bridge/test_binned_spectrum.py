"""Binned sums against direct summation: within their bounds, at every β, for every kind of row."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from llm_bridge import binned_spectrum
from llm_bridge.error_bounds import FIELDS, BoundedThermodynamics
from llm_bridge.logits import LogitRecord
from llm_bridge.spectrum import thermodynamics
from thermo.errors import InvalidInputError

COLD = [0.0, 1e-9, 0.3, 1.0, 3.0, 10.0, 50.0, 1e4, np.inf]
HOT = [-np.inf, -1e300, -200.0, -30.0, -10.0, -1.0, -1e-300, -0.0]
BETAS = np.array([*HOT, *COLD])
V = 20_000


def spectra() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(20261121)
    normal = 2.5 * rng.normal(size=V)
    ties = np.round(normal)
    outlier = normal.copy()
    outlier[7] = 900.0
    return {
        "normal": normal,
        "shifted": normal + 4000,
        "uniform": rng.uniform(-8, 8, V),
        "exponential": rng.exponential(3.0, V),
        "ties": ties,
        "two levels": np.where(rng.random(V) < 0.3, 1.0, -2.5),
        "equal": np.full(V, 3.25),
        "one far above": outlier,
        "wide": 300 * rng.normal(size=V),
        "narrow": 1e-6 * rng.normal(size=V),
        "half precision": normal.astype(np.float16).astype(np.float32),
    }


SPECTRA = spectra()


def compare(
    binned: BoundedThermodynamics, direct: BoundedThermodynamics, share: float = 1.0
) -> float:
    """Every field within the two bounds; the largest error as a fraction of its bound."""
    most = 0.0
    for name in (*FIELDS, "heat_capacity"):
        got, exact = getattr(binned, name), getattr(direct, name)
        np.testing.assert_array_equal(np.isinf(got), np.isinf(exact), err_msg=name)
        finite = np.isfinite(exact)
        bound = getattr(binned.error_bound, name) + getattr(direct.error_bound, name)
        assert (bound >= 0).all()
        error = np.abs(got[finite] - exact[finite])
        assert (error <= share * bound[finite]).all(), (name, error, bound[finite])
        ratio = error / np.where(bound[finite] > 0, bound[finite], 1.0)
        most = max(most, ratio.max())
    return most


@pytest.mark.parametrize("kind", SPECTRA)
@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-8])
def test_errors_are_within_their_bounds(kind: str, tolerance: float) -> None:
    row = SPECTRA[kind][None]
    binned = thermodynamics(row, BETAS, method="binned", tolerance=tolerance)
    compare(binned, thermodynamics(row, BETAS, method="direct"))
    # ln Z keeps what was promised, but for the rounding of β·z itself
    rounding = 4 * np.finfo(float).eps * np.abs(binned.log_partition_function)
    assert (binned.error_bound.log_partition_function <= tolerance + rounding).all()


def test_bounds_are_not_idle() -> None:
    """All levels at the edge of a bin: the error of ln Z comes within a factor 2 of its bound."""
    beta, tolerance = 10.0, 1e-3
    x = binned_spectrum.largest_exponent(tolerance)
    steps = int(8.0 * beta / (2 * x)) + 1
    edges = -4.0 + (np.arange(4, steps, 5) + 0.5 - 1e-9) * 8.0 / steps
    row = np.sort(np.concatenate([[-4.0, -3.99], edges, [4.0 - 0.5 * 8.0 / steps] * 50, [4.0]]))
    state = thermodynamics(row[None], [-beta, beta], method="binned", tolerance=tolerance)
    exact = thermodynamics(row[None], [-beta, beta], method="direct")
    error = np.abs(state.log_partition_function - exact.log_partition_function)
    assert error.max() > 0.4 * state.error_bound.log_partition_function.max()


def test_negative_control_wider_bins_break_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bins four times too wide, the bound as if they were not: the comparison must fail."""
    right = binned_spectrum.largest_exponent
    monkeypatch.setattr(binned_spectrum, "largest_exponent", lambda t: 4 * right(t))
    row = SPECTRA["uniform"][None]
    state = thermodynamics(row, BETAS[4:14], method="binned", tolerance=1e-6)
    exact = thermodynamics(row, BETAS[4:14], method="direct")
    error = np.abs(state.log_partition_function - exact.log_partition_function)
    assert error.max() > 1e-6


def test_ends_are_exact() -> None:
    rows = np.stack([SPECTRA["ties"], SPECTRA["two levels"], SPECTRA["equal"]])
    state = thermodynamics(rows, [-np.inf, -0.0, 0.0, np.inf], method="binned")
    top, bottom = rows.max(axis=1), rows.min(axis=1)
    count = [(rows == end[:, None]).sum(axis=1) for end in (bottom, top)]
    np.testing.assert_allclose(state.entropy[:, 0], np.log(count[0]), rtol=1e-14)
    np.testing.assert_allclose(state.entropy[:, 1:3], np.log(V), rtol=1e-14)
    np.testing.assert_allclose(state.entropy[:, 3], np.log(count[1]), rtol=1e-14)
    np.testing.assert_array_equal(state.internal_energy[:, 0], -bottom)
    np.testing.assert_array_equal(state.internal_energy[:, 3], -top)
    mean = -rows.mean(axis=1)
    np.testing.assert_allclose(state.internal_energy[:, 1], mean, atol=1e-12)


def test_derivatives_fit_together() -> None:
    """U = −d ln Z/dβ of the binned numbers themselves, and S = ln Z + βU."""
    row, h = SPECTRA["normal"][None], 1e-3
    beta = np.array([-2.0, -0.5, 0.0, 0.7, 2.0])
    spread = (beta[:, None] + h * np.array([-1, 0, 1])).ravel()
    state = thermodynamics(row, spread, method="binned", tolerance=1e-3)
    log_z = state.log_partition_function.reshape(-1, 3)
    energy = state.internal_energy.reshape(-1, 3)[:, 1]
    # the third derivative of ln Z is below 60 here: h²/6 of it
    np.testing.assert_allclose((log_z[:, 2] - log_z[:, 0]) / (2 * h), -energy, atol=6e-5)
    identity = state.log_partition_function + spread * state.internal_energy - state.entropy
    np.testing.assert_allclose(identity, 0.0, atol=1e-11)


# --- what a row can be ----------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [-np.inf, np.finfo(np.float16).min, np.finfo(np.float32).min])
def test_masked_tokens_do_not_exist(mask: float) -> None:
    plain = SPECTRA["normal"].astype(np.float32)
    row = np.insert(plain, [0, 5, 900, V], np.float32(mask))
    both = thermodynamics(np.stack([row, row]), BETAS, method="binned")
    alone = thermodynamics(plain[None], BETAS, method="binned")
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(both, name)[[1]], getattr(alone, name))


@pytest.mark.parametrize("where", ["at the end", "anywhere"])
def test_excluded_columns_may_hold_anything(where: str) -> None:
    plain = SPECTRA["normal"]
    places = [V, V, V] if where == "at the end" else [3, 100, V]
    row = np.insert(plain, places, [np.nan, np.inf, 1e9])
    valid = np.insert(np.ones(V, dtype=bool), places, False)
    state = thermodynamics(row[None], BETAS, valid, method="binned")
    alone = thermodynamics(plain[None], BETAS, method="binned")
    np.testing.assert_array_equal(state.entropy, alone.entropy)


@pytest.mark.parametrize(
    ("value", "says"), [(np.nan, "nan at position 2"), (-np.nan, "nan"), (np.inf, r"\+inf at")]
)
def test_unusable_rows_are_refused(value: float, says: str) -> None:
    rows = np.stack([SPECTRA["normal"]] * 3)
    rows[2, 11] = value
    for threads in (1, 2):
        with pytest.raises(InvalidInputError, match=says):
            thermodynamics(rows, [1.0], method="binned", threads=threads)
    rows[2] = -np.inf
    with pytest.raises(InvalidInputError, match="every token masked at position 2"):
        thermodynamics(rows, [1.0], method="binned")


def test_any_float_type_and_layout() -> None:
    import torch

    half = SPECTRA["half precision"].astype(np.float16)[None]
    single = half.astype(np.float32)
    expected = thermodynamics(single, BETAS, method="binned").entropy
    for same in (
        half,
        half.astype(np.float64),
        single.astype(">f4"),
        np.asfortranarray(np.repeat(single, 2, axis=0))[:1],
        torch.from_numpy(half),
        torch.from_numpy(single).requires_grad_(),
    ):
        got = thermodynamics(same, BETAS, method="binned").entropy
        np.testing.assert_array_equal(got, expected)
    rough = torch.from_numpy(single).bfloat16()
    np.testing.assert_array_equal(
        thermodynamics(rough, BETAS, method="binned").entropy,
        thermodynamics(rough.float(), BETAS, method="binned").entropy,
    )


@pytest.mark.parametrize("value", [1e155, 1e300, 1.7e308])
@pytest.mark.parametrize("method", ["direct", "binned"])
def test_logits_whose_squares_overflow_are_refused(method: str, value: float) -> None:
    rows = np.stack([SPECTRA["normal"]] * 2)
    rows[1, 5] = value
    with pytest.raises(InvalidInputError, match=r"position 1, token 5; only numbers up to 1e\+150"):
        thermodynamics(rows, [1.0], method=method)
    rows[1, 5] = 1e150
    state = thermodynamics(rows, [-1.0, 0.0, 1e-150, 1.0, np.inf], method=method)
    assert np.isfinite(state.entropy).all()
    assert np.isfinite(state.energy_variance).all()


@pytest.mark.parametrize("method", ["direct", "binned"])
def test_sparse_tensors_are_refused(method: str) -> None:
    import torch

    for sparse in (torch.eye(4).to_sparse(), torch.eye(4, dtype=torch.int64).to_sparse()):
        with pytest.raises(InvalidInputError, match="to_dense"):
            thermodynamics(sparse, [1.0], method=method)


def test_masks_are_left_out_where_levels_are_summed_one_by_one() -> None:
    """A wide spectrum at a weak β: masks are within reach of the end, and no levels."""
    row = np.full(20_000, -30_000.0)
    row[0], row[5:100] = 3e6, np.finfo(np.float16).min
    found, direct = (thermodynamics(row[None], -0.001, method=m) for m in ("binned", "direct"))
    assert found.entropy[0] == pytest.approx(math.log(20_000 - 96), abs=1e-9)
    assert found.entropy[0] == pytest.approx(direct.entropy[0], abs=1e-9)


@pytest.mark.parametrize("spread", [1e-310, 1e-304])
def test_levels_closer_than_the_inverse_of_the_largest_number(spread: float) -> None:
    row = np.zeros((1, 20_000))
    row[0, 5] = spread
    betas = [-np.inf, -1.0, 0.0, 1.0, 2.0, np.inf]
    found, direct = (thermodynamics(row, betas, method=m) for m in ("binned", "direct"))
    np.testing.assert_allclose(found.entropy, direct.entropy, atol=1e-6)
    np.testing.assert_allclose(
        found.entropy[0], [math.log(19_999), *[math.log(20_000)] * 4, 0], atol=1e-6
    )


def test_threads_change_nothing() -> None:
    rows = np.stack([*SPECTRA.values()])
    one, three = (thermodynamics(rows, BETAS, method="binned", threads=t) for t in (1, 3))
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(one, name), getattr(three, name))


def test_torch_counts_as_the_compiled_loop_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """The path of CUDA tensors, run on the CPU."""
    import torch

    rows = np.stack([*SPECTRA.values()]).astype(np.float32)
    rows[3, ::7] = -np.inf
    expected = thermodynamics(rows, BETAS, method="binned")
    monkeypatch.setattr(binned_spectrum, "_on_gpu", lambda logits: True)
    got = thermodynamics(torch.from_numpy(rows), BETAS, method="binned")
    for name in FIELDS:
        a, b = getattr(got, name), getattr(expected, name)
        size = 1e-11 * (1 + np.abs(np.where(np.isfinite(b), b, 0)))
        assert (np.isclose(a, b, rtol=0, atol=size)).all(), name
    broken = rows.copy()
    broken[4, 4] = np.nan
    with pytest.raises(InvalidInputError, match="nan at position 4"):
        thermodynamics(torch.from_numpy(broken), BETAS, method="binned")


def test_compiled_loops_are_the_python_ones() -> None:
    from llm_bridge.level_histogram import add_levels, sum_bins

    row = SPECTRA["normal"][:300].astype(np.float32)
    tables = [np.zeros((101, 4)), np.zeros((101, 4))]
    for loop, table in zip((add_levels, add_levels.py_func), tables, strict=True):
        loop(row, float(row.min()), 100 / float(row.max() - row.min()), table)
    np.testing.assert_allclose(*tables, rtol=1e-12, atol=1e-12)  # contraction to fma
    assert tables[0][:, 0].sum() == 300
    y = np.array([0.0, 0.01, 0.1])
    for top in (True, False):
        sums = np.empty((2, 4, 3))
        for farthest in (np.inf, 0.5):
            sum_bins(tables[0], y, farthest, top, sums[0])
            sum_bins.py_func(tables[0], y, farthest, top, sums[1])
            np.testing.assert_allclose(sums[0], sums[1], rtol=1e-12)


def test_steep_beta_sum_the_bins_within_their_reach() -> None:
    """Gentle β sum all bins; what a steep β leaves out is below e⁻⁴⁰ of the end's own level."""
    from llm_bridge.error_bounds import reach
    from llm_bridge.level_histogram import sum_bins

    levels, bins = 100_000, 9000
    table = np.zeros((bins + 1, 4))
    table[:, 0] = np.random.default_rng(20261121).multinomial(levels, np.full(bins + 1, 1 / 9001))
    table[[0, -1], 0] += 1
    y = np.array([0.0, 1e-3, 0.02, 0.13])
    for top in (True, False):
        whole, near, nearer = np.empty((3, 4, 4))
        sum_bins(table, y, np.inf, top, whole)
        sum_bins(table, y, reach(1.0, levels), top, near)
        np.testing.assert_allclose(near[:3], whole[:3], rtol=1e-12, atol=np.exp(-40.0) * bins**2)
        np.testing.assert_array_equal(near[:, :2], whole[:, :2])  # all levels are in reach
        assert (near[0, 2:] <= whole[0, 2:]).all()
        sum_bins(table, y, 5.0, top, nearer)  # the control: too short a reach is seen
        assert (nearer[0, 1:] < 0.999 * whole[0, 1:]).all()


def test_method_is_chosen_by_size() -> None:
    row = SPECTRA["normal"][None]
    few = thermodynamics(row, [1.0, 2.0])
    np.testing.assert_array_equal(
        few.entropy, thermodynamics(row, [1.0, 2.0], method="direct").entropy
    )
    many = np.linspace(-1, 1, 8)
    np.testing.assert_array_equal(
        thermodynamics(row, many).entropy, thermodynamics(row, many, method="binned").entropy
    )
    scalar = thermodynamics(row, 1.0, method="binned")
    assert scalar.entropy.shape == scalar.error_bound.entropy.shape == (1,)


@pytest.mark.parametrize(
    "wrong", [{"method": "bined"}, {"tolerance": 0.0}, {"tolerance": 0.1}, {"threads": 0}]
)
def test_bad_settings(wrong: dict) -> None:
    with pytest.raises(InvalidInputError):
        thermodynamics([[1.0, 2.0]], 1.0, **wrong)


# --- memory ---------------------------------------------------------------------------------------

LIMITED = """
    import resource, sys
    import numpy as np
    import safetensors.numpy
    from llm_bridge.logits import LogitRecord
    from llm_bridge.spectrum import thermodynamics

    def anonymous():  # bytes of memory that is not a file's
        with open("/proc/self/status") as status:
            return 1024 * int(next(l for l in status if l.startswith("VmData")).split()[1])

    warm = 2.5 * np.random.default_rng(1).normal(size=(2, 20_000))
    thermodynamics(warm, [-1.0, 0.0, 1.0, 2.0], threads=2)
    limit = anonymous() + int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        if sys.argv[3] == "whole":
            np.fromfile(sys.argv[1], dtype=np.uint8)
        else:
            record = LogitRecord.load(sys.argv[1])
            state = thermodynamics(record.logits, [-1.0, 0.0, 1.0, 2.0], threads=2)
            print(*state.entropy.mean(axis=0).round(6))
    except MemoryError:
        print("no memory")
"""


def write_large(path: Path, rows: int, columns: int) -> np.ndarray:
    """A safetensors file written piece by piece; returns the mean entropies of its rows."""
    import json

    size = 4 * rows * columns
    ids = np.zeros(rows, dtype=np.int64)
    entries = {
        "logits": {"dtype": "F32", "shape": [rows, columns], "data_offsets": [0, size]},
        "token_ids": {"dtype": "I64", "shape": [rows], "data_offsets": [size, size + 8 * rows]},
    }
    header = json.dumps(entries).encode()
    header += b" " * (-len(header) % 8)
    rng = np.random.default_rng(20261122)
    entropies = []
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for _ in range(rows):
            row = (2.5 * rng.normal(size=columns)).astype(np.float32)
            entropies.append(thermodynamics(row[None], [-1.0, 0.0, 1.0, 2.0]).entropy[0])
            file.write(row.tobytes())
        file.write(ids.tobytes())
    return np.mean(entropies, axis=0)


def run_limited(path: Path, spare: int, how: str) -> str:
    code = textwrap.dedent(LIMITED)
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(spare), how],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits as Linux counts them")
@pytest.mark.parametrize(
    ("rows", "columns"),
    [(700, 25_000), pytest.param(500, 151_936, marks=pytest.mark.slow)],
    ids=["70 MB", "300 MB"],
)
def test_a_file_larger_than_memory_is_streamed(rows: int, columns: int, tmp_path: Path) -> None:
    """With three quarters of the file's size as memory: read whole it does not fit, mapped it does.

    (No less, because the threads' own stacks and arenas are reserved memory too.)
    """
    path = tmp_path / "large.safetensors"
    expected = write_large(path, rows, columns)
    spare = path.stat().st_size * 3 // 4
    assert run_limited(path, spare, "whole") == "no memory"
    got = np.array(run_limited(path, spare, "mapped").split(), dtype=float)
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_mapped_and_loaded_records_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm_bridge import record_files

    rows = np.stack([SPECTRA["normal"], SPECTRA["ties"]]).astype(np.float32)
    rows[:, 5] = -np.inf
    path = tmp_path / "record.safetensors"
    LogitRecord(rows, [1, 2], provenance={"model": "é"}).save(path)
    loaded = LogitRecord.load(path)
    monkeypatch.setattr(record_files, "_MAPPED_FROM", 1)
    mapped = LogitRecord.load(path)
    assert isinstance(mapped.logits.base.base, np.memmap)
    np.testing.assert_array_equal(mapped.logits, loaded.logits)
    np.testing.assert_array_equal(mapped.valid, loaded.valid)
    assert mapped.provenance == loaded.provenance
    assert not mapped.logits.flags.writeable


# --- the published numbers ------------------------------------------------------------------------


def test_the_benchmark_runs(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "logit_thermodynamics.py"
    record = tmp_path / "record.json"
    tiny = ["--rows", "2", "--vocabulary", "3000", "--betas", "6", "--repeats", "1"]
    subprocess.run(
        [sys.executable, script, *tiny, "--json", record], capture_output=True, check=True
    )
    measured = json.loads(record.read_text(encoding="utf-8"))
    one_pass = dict(zip(measured["columns"], measured["rows"][1], strict=True))
    assert one_pass["largest |Δ ln Z|"] <= one_pass["guaranteed"] <= 1e-6
