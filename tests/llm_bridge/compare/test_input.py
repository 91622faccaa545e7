"""What a comparison is made of: saved logits in place of a model, odd logits, bad input."""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_comparison import SEED, SMALL, refuse

from llm_bridge.compare import Comparison, compare
from llm_bridge.errors import ModelNotFoundError, RecordFileError, TextTooShortError
from llm_bridge.logits import LogitRecord
from llm_bridge.tables import tables
from thermo.errors import InvalidInputError, TautologyWarning


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
