"""Records of logits: validation, masks, files from strangers."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from llm_bridge.errors import RecordFileError, TextTooShortError
from llm_bridge.logits import LogitRecord, is_masked, record_logits, row_blocks
from llm_bridge.models import LanguageModel
from thermo.errors import InvalidInputError


@pytest.fixture
def record() -> LogitRecord:
    logits = np.random.default_rng(20261120).normal(size=(4, 6)).astype(np.float32)
    logits[:, 5] = -np.inf
    logits[2, 0] = -np.inf
    return LogitRecord(
        logits,
        [1, 2, 3, 4],
        vocabulary=["a", "b", "<script>", "\x1b[31m", "é", ""],
        provenance={"model": "none"},
        origin_dtype="bfloat16",
    )


# --- reading a text -------------------------------------------------------------------------------


def test_rows_predict_the_tokens_that_came(model: LanguageModel, text: str) -> None:
    ids = model.encode(text)[:40]
    short = model.decode(ids)
    record = record_logits(model, short)
    assert len(record) == ids.size - 1
    assert np.array_equal(record.token_ids, ids[1:])
    assert np.array_equal(record.logits, model.logits(ids)[:-1])
    assert np.array_equal(record.valid, model.valid)
    assert record.vocabulary == model.vocabulary
    assert record.provenance["weights_sha256"] == model.fingerprint


def test_positions(model: LanguageModel, text: str) -> None:
    first = record_logits(model, text, 10)
    assert len(first) == 10
    some = record_logits(model, text, [0, 3, 9])
    assert np.array_equal(some.logits, first.logits[[0, 3, 9]])
    assert np.array_equal(some.token_ids, first.token_ids[[0, 3, 9]])


def test_short_texts_say_what_is_needed(model: LanguageModel) -> None:
    text = "The temperature"
    count = model.encode(text).size
    with pytest.raises(TextTooShortError, match=f"{count} tokens; at least 513 are needed"):
        record_logits(model, text, 512)
    with pytest.raises(TextTooShortError, match="1 token; at least 2"):
        record_logits(model, "T")
    with pytest.raises(InvalidInputError, match="empty"):
        record_logits(model, "")
    for bad in (0, -3, 1.5, [], [-1]):
        with pytest.raises(InvalidInputError, match="positions"):
            record_logits(model, text, bad)  # type: ignore[arg-type]


# --- validation -----------------------------------------------------------------------------------


def test_masks_of_every_kind_are_seen() -> None:
    lowest = [-np.inf, np.finfo(np.float16).min, np.finfo(np.float32).min, -3.3895314e38]
    assert is_masked(lowest).all()
    assert not is_masked([-1000.0, 0.0, 1e30]).any()
    record = LogitRecord([[0.0, lowest[1], lowest[2]], [1.0, -np.inf, 2.0]], [0, 0])
    assert record.valid.tolist() == [True, False, True]


def test_padded_columns_may_hold_anything() -> None:
    record = LogitRecord([[0.0, np.nan, np.inf]], [0], np.array([True, False, False]))
    assert record.valid.tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("logits", "says"),
    [
        ([[0.0, 1.0], [0.0, np.nan]], "nan at position 1, token 1"),
        ([[0.0, 1.0], [np.inf, 0.0]], r"\+inf at position 1, token 0"),
        ([[-np.inf, -65504.0], [0.0, 0.0]], "every token masked at position 0"),
        ([0.0, 1.0], "2 axes"),
        (np.empty((0, 3)), "2 axes"),
        ([["a", "b"], ["c", "d"]], "real numbers"),
    ],
)
def test_unusable_logits_are_refused(logits: object, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        LogitRecord(logits, [0, 0])  # type: ignore[arg-type]


def test_errors_are_found_in_later_blocks() -> None:
    logits = np.zeros((300, 5000), dtype=np.float32)
    logits[271, 17] = np.nan
    with pytest.raises(InvalidInputError, match="position 271, token 17"):
        LogitRecord(logits, np.zeros(300, dtype=int))
    blocks = list(row_blocks(300, 5000))
    assert len(blocks) > 1
    assert (blocks[0].start, blocks[-1].stop) == (0, 300)


@pytest.mark.parametrize(
    "change",
    [
        {"token_ids": [1, 2, 3]},
        {"token_ids": [1.0, 2.0, 3.0, 4.0]},
        {"token_ids": [1, 2, 3, 6]},
        {"token_ids": [1, 2, 3, -1]},
        {"valid": np.ones(5, dtype=bool)},
        {"valid": np.ones(6)},
        {"valid": np.zeros(6, dtype=bool)},
        {"vocabulary": ["a"]},
        {"vocabulary": list(range(6))},
        {"vocabulary": 6},
        {"provenance": {"model": 4}},
        {"provenance": None},
        {"gauge": "energy"},
        {"logits": np.full((4, 6), 1e300)},
    ],
)
def test_mismatched_parts_are_refused(record: LogitRecord, change: dict) -> None:
    parts = {"logits": record.logits, "token_ids": record.token_ids, "valid": None}
    with pytest.raises(InvalidInputError):
        LogitRecord(**(parts | change))


@pytest.mark.parametrize(
    ("numbers", "sums"),
    [
        ([[-1.0, -0.5], [0.3, -5.0]], "at position 1 they sum to ln Σp = 0.305"),
        ([[-0.1, -0.1]], "at position 0"),  # none above 0, and yet too much
        (np.full((3, 2000), -4.0), "at position 0"),
        ([[1e38, -1.0]], "at position 0"),
    ],
)
def test_log_probabilities_sum_to_one_at_most(numbers: object, sums: str) -> None:
    ids = [0] * len(numbers)  # type: ignore[arg-type]
    LogitRecord(numbers, ids)  # as logits they may be anything
    with pytest.raises(InvalidInputError, match=sums):
        LogitRecord(numbers, ids, gauge="log_probabilities")


def test_log_probabilities_of_every_precision_are_accepted() -> None:
    """float32 and bfloat16 as softmax gives them, a mask, and a part of the vocabulary left out."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(20261122)
    logits = torch.tensor(rng.normal(0, 1, (20, 50_000)))
    logits[:, 7] = -np.inf
    for kind in (torch.float32, torch.bfloat16, torch.float16):
        log_p = torch.log_softmax(logits.to(kind), dim=-1)
        LogitRecord(log_p, np.zeros(20, int), gauge="log_probabilities")
    half = np.arange(50_000) < 25_000
    LogitRecord(log_p, np.zeros(20, int), half, gauge="log_probabilities")


def test_records_are_frozen(record: LogitRecord) -> None:
    for array in (record.logits, record.token_ids, record.valid):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(AttributeError):
        record.gauge = "logits"  # type: ignore[misc]


def test_torch_tensors_are_taken_with_their_type() -> None:
    import torch

    values = torch.tensor([[0.5, 1.25], [3.0, -2.0]], dtype=torch.bfloat16)
    record = LogitRecord(values, torch.tensor([0, 1]))  # type: ignore[arg-type]
    assert record.origin_dtype == "bfloat16"
    assert record.logits.tolist() == [[0.5, 1.25], [3.0, -2.0]]
    assert LogitRecord(np.zeros((1, 2), np.float16), [0]).origin_dtype == "float16"


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_files_give_the_record_back(record: LogitRecord, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"record{ending}"
    record.save(path)
    back = LogitRecord.load(path)
    assert np.array_equal(back.logits, record.logits)
    assert back.logits.dtype == np.float32
    assert np.array_equal(back.token_ids, record.token_ids)
    assert np.array_equal(back.valid, record.valid)
    assert back.vocabulary == record.vocabulary
    assert dict(back.provenance) == dict(record.provenance)
    assert (back.gauge, back.origin_dtype) == (record.gauge, "bfloat16")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_nothing_is_overwritten_or_half_written(
    record: LogitRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "record.npz"
    record.save(path)
    with pytest.raises(InvalidInputError, match="exists already"):
        record.save(path)
    before = path.read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(InvalidInputError, match="No space left"):
        record.save(path, overwrite=True)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    record.save(path, overwrite=True)
    folder = tmp_path / "folder.npz"
    folder.mkdir()
    with pytest.raises(InvalidInputError, match="that is a folder"):
        record.save(folder, overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.npz", path.name]
    with pytest.raises(InvalidInputError, match=r"\.safetensors or \.npz"):
        record.save(tmp_path / "record.pkl")
    with pytest.raises(InvalidInputError, match="no folder"):
        record.save(tmp_path / "nowhere" / "record.npz")


def test_dumps_of_other_programs(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    np.savez(tmp_path / "bare.npz", logits=np.zeros((2, 3), np.float16), token_ids=[0, 1])
    bare = LogitRecord.load(tmp_path / "bare.npz")
    assert (len(bare), bare.origin_dtype, bare.vocabulary) == (2, "float16", None)
    tensors = {"logits": torch.ones(2, 3, dtype=torch.bfloat16), "token_ids": torch.tensor([0, 1])}
    save_file(tensors, tmp_path / "bare.safetensors")
    assert LogitRecord.load(tmp_path / "bare.safetensors").origin_dtype == "bfloat16"


class _Evil:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("executed"),))


def _write_npy_header(shape: tuple[int, ...], body: bytes) -> bytes:
    from io import BytesIO

    buffer = BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue() + body


def test_hostile_npz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hostile.npz"
    objects = np.array([_Evil()], dtype=object)
    np.savez(path, logits=objects, token_ids=[0])
    with pytest.raises(RecordFileError, match="pickle"):
        LogitRecord.load(path)
    (tmp_path / "raw.npz").write_bytes(pickle.dumps(_Evil()))
    with pytest.raises(RecordFileError):
        LogitRecord.load(tmp_path / "raw.npz")
    assert not (tmp_path / "executed").exists()

    with zipfile.ZipFile(path, "w") as archive:  # promises 4 EB, holds nothing
        archive.writestr("logits.npy", _write_npy_header((10**9, 10**9), b""))
        archive.writestr("token_ids.npy", _write_npy_header((1,), b"\0" * 4))
    with pytest.raises(RecordFileError, match="promises"):
        LogitRecord.load(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:  # 128 MB from 128 kB
        archive.writestr("logits.npy", _write_npy_header((1, 32 << 20), b"\0" * (128 << 20)))
    with pytest.raises(RecordFileError, match="refused"):
        LogitRecord.load(path)


def test_broken_files_are_refused_in_one_line(record: LogitRecord, tmp_path: Path) -> None:
    for ending in (".npz", ".safetensors"):
        path = tmp_path / f"record{ending}"
        record.save(path)
        path.write_bytes(path.read_bytes()[:150])
        with pytest.raises(RecordFileError) as caught:
            LogitRecord.load(path)
        assert "\n" not in str(caught.value)
        path.write_bytes((2**62).to_bytes(8, "little") + b"{}")
        with pytest.raises(RecordFileError):
            LogitRecord.load(path)
    with pytest.raises(RecordFileError, match="no file"):
        LogitRecord.load(tmp_path / "none.npz")
    with pytest.raises(RecordFileError, match="ends in"):
        LogitRecord.load(tmp_path / "record.pt")
    np.savez(tmp_path / "lacking.npz", logits=np.zeros((2, 3)))
    with pytest.raises(RecordFileError, match="token_ids"):
        LogitRecord.load(tmp_path / "lacking.npz")
    np.savez(tmp_path / "nan.npz", logits=np.full((2, 3), np.nan), token_ids=[0, 0])
    with pytest.raises(RecordFileError, match="nan at position 0"):
        LogitRecord.load(tmp_path / "nan.npz")
    for metadata in ("[]", "{", '{"provenance": 3}', '{"vocabulary": 3}', '{"gauge": "x"}'):
        np.savez(
            tmp_path / "m.npz", logits=np.zeros((1, 2)), token_ids=[0], metadata=np.array(metadata)
        )
        with pytest.raises(RecordFileError):
            LogitRecord.load(tmp_path / "m.npz")
