"""Large record files: mapped whatever their float type, and widened where they are read."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_bridge import record_files
from llm_bridge.brownian import effective_temperature
from llm_bridge.logit_arrays import dtype_name
from llm_bridge.logits import LogitRecord
from llm_bridge.noise_floor import noise_floor
from llm_bridge.record_files import read_record
from llm_bridge.spectrum import centred, natural_scale, thermodynamics
from llm_bridge.stored_logits import StoredLogits
from llm_bridge.text.temperature import text_temperature
from llm_bridge.text.windows import beta_along
from llm_bridge.top_logprobs import TopLogprobs

TYPES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}


def bits(values: np.ndarray, kind: str) -> np.ndarray:
    """Numbers as a file holds them; bfloat16, rounded towards zero, as its bits."""
    if kind != "BF16":
        return values.astype(TYPES[kind])
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def write(path: Path, stored: np.ndarray, kind: str, ids: np.ndarray, **metadata: Any) -> Path:
    """A safetensors file by another program: the header by hand, then the numbers."""
    split, end = stored.nbytes, stored.nbytes + 8 * ids.size
    header = {
        "logits": {"dtype": kind, "shape": list(stored.shape), "data_offsets": [0, split]},
        "token_ids": {"dtype": "I64", "shape": [ids.size], "data_offsets": [split, end]},
    }
    if metadata:
        header["__metadata__"] = {"metadata": json.dumps(metadata)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        stored.tofile(file)
        ids.astype("<i8").tofile(file)
    return path


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    rng = np.random.default_rng(20261122)
    logits = rng.normal(0, 3, (60, 40))
    logits[:, 39] = -np.inf
    logits[5, 7] = -np.inf
    return logits


@pytest.fixture(scope="module")
def ids(values: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(20261123).gumbel(size=values.shape)
    return (values + noise).argmax(axis=1)


@pytest.fixture
def all_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_files, "_MAPPED_FROM", 0)


def widened(values: np.ndarray, kind: str) -> np.ndarray:
    stored = bits(values, kind)
    if kind == "BF16":
        return (stored.astype(np.uint32) << 16).view(np.float32)
    return stored.astype(np.float32)


def is_mapped(array: Any) -> bool:
    """Whether its numbers are in a file."""
    while array is not None and not isinstance(array, mmap):
        array = getattr(array, "base", None)
    return array is not None


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("size", ["small", "large"])
def test_numbers_of_every_type(
    values: np.ndarray,
    ids: np.ndarray,
    kind: str,
    size: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Bit for bit those of the file; large ones are in it still."""
    if size == "large":
        monkeypatch.setattr(record_files, "_MAPPED_FROM", 0)
    path = write(tmp_path / "r.safetensors", bits(values, kind), kind, ids)
    record = read_record(path)
    assert np.array_equal(np.asarray(record.logits), widened(values, kind))
    assert record.logits.dtype == np.float32
    assert record.origin_dtype == TYPES[kind]
    assert record.valid.tolist() == [True] * 39 + [False]
    held = record.logits
    if size == "small":
        assert type(held) is np.ndarray
        assert not is_mapped(held)
    elif kind == "F32":
        assert is_mapped(held)
    else:
        assert isinstance(held, StoredLogits)
        assert is_mapped(held._stored)
    again = tmp_path / "again.npz"
    record.save(again)
    assert np.array_equal(np.asarray(read_record(again).logits), widened(values, kind))
    assert read_record(again).origin_dtype == TYPES[kind]


def test_torch_writes_the_same_bfloat16(
    values: np.ndarray, ids: np.ndarray, tmp_path: Path
) -> None:
    """The bits are torch's: what it stores is what is read."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    tensor = torch.tensor(values).bfloat16()
    path = tmp_path / "r.safetensors"
    save_file({"logits": tensor, "token_ids": torch.tensor(ids)}, path)
    assert np.array_equal(np.asarray(read_record(path).logits), tensor.float().numpy())


@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize(
    "work",
    [
        lambda r: thermodynamics(r.logits, [-1.0, 1.0, np.inf], r.valid).entropy,
        lambda r: thermodynamics(r.logits, [-1.0, 1.0], r.valid, method="binned").entropy,
        lambda r: centred(r.logits, r.valid),
        lambda r: natural_scale(r.logits, r.valid),
        lambda r: text_temperature(r).beta,
        lambda r: text_temperature(r).misfit.histogram,
        lambda r: beta_along(r, 20).beta,
        lambda r: TopLogprobs.from_record(r, 5).entropy([0.5, 2.0]).upper,
        lambda r: noise_floor(r.logits, np.asarray(r.logits) + 0.1, r.valid).rms,
        lambda r: (
            effective_temperature(
                r.logits, np.stack([x * np.asarray(r.logits) for x in (0.8, 1.1)]), r.valid
            ).temperature
        ),
        lambda r: r.logits[3:7],
        lambda r: r.logits[-1, 2],
        repr,
    ],
)
def test_whoever_reads_them_sees_the_same(
    values: np.ndarray, ids: np.ndarray, work: Callable[[LogitRecord], Any], tmp_path: Path
) -> None:
    for kind in ("F16", "BF16"):
        path = write(tmp_path / f"{kind}.safetensors", bits(values, kind), kind, ids)
        mapped = read_record(path)
        in_memory = LogitRecord(
            widened(values, kind), ids, mapped.valid, origin_dtype=mapped.origin_dtype
        )
        found, expected = work(mapped), work(in_memory)
        if isinstance(expected, str):
            assert found == expected
        else:
            np.testing.assert_array_equal(found, expected)


@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize("kind", TYPES)
def test_memory_does_not_grow_with_the_file(kind: str, tmp_path: Path) -> None:
    """16 million logits, 64 MB as float32: what a load and a pass over them take is a block."""
    stored = np.zeros((4000, 4000), np.uint16 if kind == "BF16" else TYPES[kind])
    path = write(tmp_path / "r.safetensors", stored, kind, np.zeros(4000, int))
    del stored
    tracemalloc.start()
    record = read_record(path)
    TopLogprobs.from_record(record, 5)
    peak = tracemalloc.get_traced_memory()[1]
    np.asarray(record.logits) + 1  # the control: what is read whole is seen
    whole = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 << 20
    assert whole > 60 << 20


@pytest.mark.usefixtures("all_large")
def test_npz_keeps_float16_as_such(values: np.ndarray, ids: np.ndarray, tmp_path: Path) -> None:
    np.savez(tmp_path / "r.npz", logits=values.astype(np.float16), token_ids=ids)
    record = read_record(tmp_path / "r.npz")
    assert isinstance(record.logits, StoredLogits)
    assert record.logits.nbytes == 2 * values.size
    assert np.array_equal(np.asarray(record.logits), widened(values, "F16"))


@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize("kind", TYPES)
def test_broken_numbers_are_found_where_they_are(
    values: np.ndarray, ids: np.ndarray, kind: str, tmp_path: Path
) -> None:
    broken = np.zeros((700, 2000))
    broken[613, 17] = np.nan if kind != "F64" else 1e300  # beyond float32
    path = write(tmp_path / "r.safetensors", bits(broken, kind), kind, np.zeros(700, int))
    with pytest.raises(record_files.RecordFileError, match="position 613, token 17"):
        read_record(path)


def test_stored_logits() -> None:
    half = StoredLogits(np.arange(6, dtype=np.float16).reshape(2, 3), "float16")
    assert (len(half), half.shape, half.ndim, half.nbytes) == (2, (2, 3), 2, 12)
    assert dtype_name(half) == "float16"
    assert "float16" in repr(half)
    assert np.asarray(half, dtype=np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="a copy is made"):
        np.asarray(half, copy=False)
    lowest = StoredLogits(np.array([[np.finfo(float).min, 0.0]]), "float64")
    assert lowest[0].tolist() == [-np.inf, 0.0]


def test_the_benchmark_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a tiny setting, in the form of the records that the page shows; and its bounds hold."""
    import runpy
    import sys

    root = Path(__file__).parents[2]
    script, out = root / "benchmarks/records.py", tmp_path / "records.json"
    monkeypatch.setattr(sys, "argv", [str(script), "--tiny", "--json", str(out)])
    monkeypatch.syspath_prepend(str(script.parent))
    runpy.run_path(str(script), run_name="__main__")
    for name in ("records", "records_bounds"):
        found, shown = (
            json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
            for folder in (tmp_path, root / "docs/measured")
        )
        assert found["columns"] == shown["columns"]
        assert [len(row) for row in found["rows"]] == [len(found["columns"])] * len(shown["rows"])
        assert found.keys() == shown.keys()
    for curves in (found["curves"], shown["curves"]):
        assert curves.keys() == shown["curves"].keys()
        for bounds in curves["bounds"].values():
            for what in ("entropy", "free_energy"):
                low, high = np.transpose(bounds[what])
                true = np.array(curves[what])
                assert (low <= true + 1e-9).all()
                assert (true <= high + 1e-9).all()
        below = curves["below"]
        assert max(below["lone"][:10]) < 1e-6  # nothing, or nearly all, with the same list
        assert min(below["even"]) > 0.99 * np.log(curves["vocabulary"])
