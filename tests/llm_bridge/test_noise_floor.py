"""Rounding of logits and weights: exact cases, the bound on what can change, the script."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from llm_bridge.models import LanguageModel
from llm_bridge.noise_floor import noise_floor
from llm_bridge.readings import PRECISIONS, in_precision, read, read_in_steps, stored_as
from thermo.errors import InvalidInputError

# --- comparing two readings -----------------------------------------------------------------------


def test_a_reading_against_itself_is_silent() -> None:
    z = np.random.default_rng(1).normal(size=(20, 50))
    floor = noise_floor(z, z)
    assert floor.rms == floor.largest == 0
    for end in (floor.top, floor.bottom):
        assert not end.changed.any()
        assert (end.largest_gap, end.tied, end.share) == (0, 0, 0)
    ordered = np.sort(z, axis=1)
    assert np.allclose(floor.top.gap, ordered[:, -1] - ordered[:, -2])
    assert np.allclose(floor.bottom.gap, ordered[:, 1] - ordered[:, 0])


def test_the_gauge_does_not_count() -> None:
    z = np.random.default_rng(2).normal(size=(20, 50))
    floor = noise_floor(z, z + 1000.0 * np.arange(20)[:, None])
    assert floor.largest < 1e-9
    assert floor.top.share == floor.bottom.share == 0


def test_ends_are_mirrors_of_each_other() -> None:
    rng = np.random.default_rng(3)
    z = rng.normal(size=(200, 50))
    other = z + rng.normal(0, 0.1, z.shape)
    floor, mirrored = noise_floor(z, other), noise_floor(-z, -other)
    assert np.array_equal(floor.top.changed, mirrored.bottom.changed)
    assert np.allclose(floor.bottom.gap, mirrored.top.gap)
    assert 0.02 < floor.top.share < 0.5


def test_no_change_over_a_gap_of_more_than_twice_the_noise() -> None:
    rng = np.random.default_rng(4)
    z = rng.normal(size=(500, 30))
    for size in (1e-3, 0.03, 0.3):
        floor = noise_floor(z, z + rng.uniform(-size, size, z.shape))
        for end in (floor.top, floor.bottom):
            assert (end.gap[end.changed] <= 2 * floor.position_largest[end.changed]).all()
    assert floor.top.changed.any()  # or else the bound would say nothing


def test_ties_and_the_lowest_id() -> None:
    floor = noise_floor([[1.0, 1.1, 0.0, 0.2]], [[1.0, 1.0, 0.0, 0.0]])
    assert floor.top.changed.tolist() == [True]  # the tie goes to token 0
    assert floor.bottom.changed.tolist() == [False]
    assert (floor.top.tied, floor.bottom.tied) == (1, 1)
    assert floor.top.largest_gap == pytest.approx(0.1)


def test_bins_hold_every_position_once_and_intervals_hold_the_share() -> None:
    rng = np.random.default_rng(5)
    z = np.round(rng.normal(size=(300, 20)), 2)
    end = noise_floor(z, z + rng.normal(0, 0.1, z.shape), edges=[0.0, 0.1, 0.2, 5.0]).top
    assert end.positions.sum() == 300
    assert end.changes.sum() == end.changed.sum()
    assert end.positions[-1] == 0
    low, high = end.interval().T
    assert np.isnan(low[-1])
    share = end.changes[:-1] / end.positions[:-1]
    assert (low[:-1] <= share).all()
    assert (share <= high[:-1]).all()
    assert share[0] > share[1]


def test_columns_and_masks_are_left_out() -> None:
    z = np.array([[1.0, 0.5, 9.0, -np.inf]])
    other = np.array([[0.5, 1.0, -9.0, -np.inf]])
    floor = noise_floor(z, other, [True, True, False, True])
    assert floor.top.gap.tolist() == [0.5]
    assert floor.largest == 0.5
    with pytest.raises(InvalidInputError, match="other tokens masked"):
        noise_floor(z, np.zeros((1, 4)))


@pytest.mark.parametrize(
    ("reference", "other", "edges", "says"),
    [
        (np.zeros((2, 3)), np.zeros((3, 3)), [0.0], "shapes"),
        (np.zeros((2, 3)), np.full((2, 3), np.nan), [0.0], "nan"),
        (np.zeros((2, 1)), np.zeros((2, 1)), [0.0], "single token"),
        (np.zeros((2, 3)), np.zeros((2, 3)), [0.1, 0.2], "edges"),
        (np.zeros((2, 3)), np.zeros((2, 3)), [0.0, 0.0], "edges"),
        (np.zeros((2, 3)), np.zeros((2, 3)), [0.0, np.nan], "edges"),
        (np.zeros((2, 3)), np.zeros((2, 3)), [0.0, 1.0, np.inf], "edges"),
        (np.zeros((2, 3)), np.zeros((2, 3)), [], "edges"),
    ],
)
def test_what_cannot_be_compared(
    reference: np.ndarray, other: np.ndarray, edges: list[float], says: str
) -> None:
    with pytest.raises(InvalidInputError, match=says):
        noise_floor(reference, other, edges=edges)


# --- ways to read ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ids(model: LanguageModel, text: str) -> np.ndarray:
    return model.encode(text)[:40].reshape(2, 20)


def test_all_ways_read_the_same_text(model: LanguageModel, ids: np.ndarray) -> None:
    whole = read(model, ids)
    assert np.array_equal(whole[1], model.logits(ids[1]))
    for other in (
        read(model, ids, batch=2),
        read(model, ids, padding=7),
        read(model, ids, batch=2, padding=1),
        read_in_steps(model, ids),
        read_in_steps(model, ids, step=6),
        read_in_steps(model, ids, step=6, batch=2),
    ):
        assert np.abs(other - whole).max() < 1e-4
    wrong = read(model, ids[:, ::-1].copy())  # a reading of another text is far from that
    assert np.abs(wrong - whole).max() > 0.1


def test_precisions_are_ordered_by_their_noise(model: LanguageModel, ids: np.ndarray) -> None:
    size = model.vocabulary_size
    exact = read(in_precision(model, "float64"), ids).reshape(-1, size)
    noise = [
        noise_floor(exact, read(in_precision(model, name), ids).reshape(-1, size)).rms
        for name in PRECISIONS
    ]
    assert noise[0] == 0
    assert noise[0] < noise[1] < noise[3] < noise[2]  # float64, float32, float16, bfloat16
    assert next(model.torch_module.parameters()).dtype == torch.float32  # a copy was changed


def test_stored_logits_keep_their_bits() -> None:
    z = np.random.default_rng(6).normal(0, 5, 1000)
    assert np.array_equal(stored_as(z, "float64"), z)
    for name, bits in (("float32", 24), ("float16", 11), ("bfloat16", 8)):
        assert (np.abs(stored_as(z, name) / z - 1) <= 2.0**-bits).all()


@pytest.mark.parametrize(
    ("bad", "options", "says"),
    [
        ([1, 2], {}, "shape"),
        ([[0.5]], {}, "type"),
        ([[10**6]], {}, "are accepted"),
        ([[1] * 65], {}, "at most 64"),
        ([[1] * 60], {"padding": 5}, "at most 64"),
        ([[1]], {"batch": 0}, "batch"),
    ],
)
def test_ids_that_cannot_be_read(model: LanguageModel, bad: list, options: dict, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        read(model, bad, **options)
    with pytest.raises(InvalidInputError, match="precision"):
        in_precision(model, "float8")


# --- the script -----------------------------------------------------------------------------------


def test_the_script_at_a_tiny_setting(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "noise_floor.py"
    record = tmp_path / "record.json"
    run = subprocess.run(
        [sys.executable, script, "--tiny", "--json", record],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    measured = json.loads(record.read_text(encoding="utf-8"))
    lines = {row[0]: dict(zip(measured["columns"], row, strict=True)) for row in measured["rows"]}
    assert lines["float32, again"]["largest |Δz|"] == 0
    assert lines["float64 computation"]["rms Δz"] < lines["bfloat16 computation"]["rms Δz"]
    assert set(measured["curves"]) == set(lines)
