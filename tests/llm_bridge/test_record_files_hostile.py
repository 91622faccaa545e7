"""Record files made to do harm: refused in one sentence, before memory is taken or code is run."""

from __future__ import annotations

import json
import pickle
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from llm_bridge import record_files
from llm_bridge.errors import RecordFileError
from llm_bridge.logits import LogitRecord
from thermo.errors import InvalidInputError

LOGITS = np.arange(6, dtype=np.float32).reshape(2, 3)
IDS = np.array([0, 2])


class Evil:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("executed"),))


def refused(path: Path) -> str:
    with pytest.raises(RecordFileError) as caught:
        LogitRecord.load(path)
    said = str(caught.value)
    assert said.isprintable(), said
    assert path.name in said  # of several files it must be clear which
    return said


# --- safetensors ----------------------------------------------------------------------------------


def write_safetensors(path: Path, header: object, body: bytes, length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + body)
    return path


def honest_header() -> dict:
    return {
        "logits": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "token_ids": {"dtype": "I64", "shape": [2], "data_offsets": [24, 40]},
    }


BODY = LOGITS.tobytes() + IDS.tobytes()


def changed(name: str, **entry: object) -> dict:
    header = honest_header()
    header[name] |= entry
    return header


def test_positive_control_the_file_as_it_should_be(tmp_path: Path) -> None:
    record = LogitRecord.load(write_safetensors(tmp_path / "r.safetensors", honest_header(), BODY))
    assert np.array_equal(record.logits, LOGITS)
    assert np.array_equal(record.token_ids, IDS)


@pytest.mark.parametrize("mapped_from", [64 << 20, 0])
@pytest.mark.parametrize(
    ("header", "length"),
    [
        (honest_header(), 2**63),  # a header as long as the universe
        (honest_header(), 2**40),
        (honest_header(), 3),
        (b"[" * 100_000, None),
        (b"\xff" * 50, None),
        (b"", None),
        ([], None),
        (changed("logits", shape=[2**40, 2**40]), None),
        (changed("logits", shape=[2, 4]), None),
        (changed("logits", shape=[-2, -3]), None),
        (changed("logits", shape=[6]), None),
        (changed("logits", shape="ab"), None),
        (changed("logits", data_offsets=[0, 2**50]), None),
        (changed("logits", data_offsets=[24, 0]), None),
        (changed("logits", data_offsets=[-8, 16]), None),
        (changed("logits", data_offsets=[16, 40]), None),  # over the other one
        (changed("logits", dtype="PICKLE"), None),
        (changed("token_ids", dtype="F64"), None),
        (changed("token_ids", shape=[1, 2]), None),
        ({"logits": honest_header()["logits"]}, None),
        (changed("logits", shape=[0, 3], data_offsets=[0, 0]), None),
        (json.dumps(honest_header()).encode().replace(b"{", b'{"logits": {}, ', 1), None),
    ],
)
def test_headers_that_lie(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    header: object,
    length: int | None,
    mapped_from: int,
) -> None:
    monkeypatch.setattr(record_files, "_MAPPED_FROM", mapped_from)  # 0: every file is mapped
    refused(write_safetensors(tmp_path / "r.safetensors", header, BODY, length))


@pytest.mark.parametrize("mapped_from", [64 << 20, 0])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_broken_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: float, mapped_from: int
) -> None:
    monkeypatch.setattr(record_files, "_MAPPED_FROM", mapped_from)
    logits = LOGITS.copy()
    logits[1, 2] = bad
    body = logits.tobytes() + IDS.tobytes()
    path = write_safetensors(tmp_path / "r.safetensors", honest_header(), body)
    assert "position 1, token 2" in refused(path)


@pytest.mark.parametrize("keep", [0, 4, 8, 20, 100, -1])
def test_files_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: int) -> None:
    monkeypatch.setattr(record_files, "_MAPPED_FROM", 0)
    path = write_safetensors(tmp_path / "r.safetensors", honest_header(), BODY)
    path.write_bytes(path.read_bytes()[:keep])
    refused(path)


@pytest.mark.parametrize("kind", ["F8_E4M3", "F8_E5M2", "I8", "BOOL"])
def test_types_that_are_no_logits(tmp_path: Path, kind: str) -> None:
    """Eight bits without their scale, or no floats at all: which types are accepted is said."""
    header = honest_header()
    header["logits"] = {"dtype": kind, "shape": [2, 12], "data_offsets": [0, 24]}
    said = refused(write_safetensors(tmp_path / "r.safetensors", header, BODY))
    assert f"of type '{kind}'; accepted: F16, BF16, F32, F64" in said


def test_metadata_is_data(tmp_path: Path) -> None:
    twice = '{"gauge": "logits", "gauge": "log_probabilities"}'
    for metadata in (
        "[" * 100_000, '{"vocabulary": ["a"]}', '{"gauge": ["logits"]}', "NaN", "[]", twice
    ):  # fmt: skip
        header = honest_header() | {"__metadata__": {"metadata": metadata}}
        refused(write_safetensors(tmp_path / "r.safetensors", header, BODY))


def with_metadata(path: Path, **metadata: object) -> Path:
    header = honest_header() | {"__metadata__": {"metadata": json.dumps(metadata)}}
    return write_safetensors(path, header, BODY)


@pytest.mark.parametrize(
    ("metadata", "named"),
    [
        ({"vocabulary": ["a", "b", [4]]}, "vocabulary[2] = [4]"),
        ({"vocabulary": ["a", None, "c"]}, "vocabulary[1] = None"),
        ({"vocabulary": "abc"}, "vocabulary is not a list"),
        ({"vocabulary": 0}, "vocabulary is not a list"),
        ({"provenance": {"x": ["y"]}}, "provenance['x'] = ['y']"),
        ({"provenance": {"x": None}}, "provenance['x'] = None"),
        ({"provenance": []}, "provenance is not a dict"),
        ({"gauge": 0}, "gauge = 0"),
    ],
)
def test_metadata_of_other_types(tmp_path: Path, metadata: dict, named: str) -> None:
    assert named in refused(with_metadata(tmp_path / "r.safetensors", **metadata))


def test_metadata_may_be_any_text_or_none(tmp_path: Path) -> None:
    words = ["", "b", "<script>\x1b[31m"]
    path = with_metadata(tmp_path / "r.safetensors", vocabulary=words, provenance={"x": "\x1b"})
    record = LogitRecord.load(path)
    assert record.vocabulary == tuple(words)
    assert record.provenance == {"x": "\x1b"}
    assert repr(record).isprintable()
    nothing = dict.fromkeys(("vocabulary", "provenance", "gauge", "origin_dtype"))
    record = LogitRecord.load(with_metadata(path, **nothing))
    assert (record.vocabulary, record.provenance, record.gauge) == (None, {}, "logits")


# --- npz ------------------------------------------------------------------------------------------


def npy(array: np.ndarray, *, shape: tuple[int, ...] | None = None) -> bytes:
    """An array as a member of an archive, its header perhaps promising another shape."""
    buffer = BytesIO()
    header = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(
        buffer, header | ({} if shape is None else {"shape": shape})
    )
    return buffer.getvalue() + array.tobytes()


def write_npz(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def honest_members() -> dict[str, bytes]:
    return {"logits.npy": npy(LOGITS), "token_ids.npy": npy(IDS)}


def test_positive_control_the_archive_as_it_should_be(tmp_path: Path) -> None:
    record = LogitRecord.load(write_npz(tmp_path / "r.npz", honest_members()))
    assert np.array_equal(record.logits, LOGITS)


ZEROS = bytes(128 << 20)


@pytest.mark.parametrize(
    "members",
    [
        lambda: {"logits.npy": npy(LOGITS, shape=(10**9, 10**9))},
        lambda: {"logits.npy": npy(LOGITS, shape=(2, -3))},
        lambda: {"token_ids.npy": npy(IDS, shape=(10**12,))},
        lambda: {"logits.npy": pickle.dumps(Evil())},
        lambda: {"logits.npy": b"\x93NUMPY\x09\x09" + bytes(100)},
        lambda: {"logits.npy": b"\x93NUMPY\x01\x00\xff\xff{" + b"(" * 65_534},
        lambda: {"logits.npy": npy(LOGITS.astype(complex))},
        lambda: {"logits.npy": npy(LOGITS.astype(np.int8))},
        lambda: {"logits.npy": npy(LOGITS.astype("U5"))},
        lambda: {"token_ids.npy": npy(IDS.astype(np.float64))},
        lambda: {"token_ids.npy": npy(np.array([2**64 - 1, 0], dtype=np.uint64))},
        lambda: {"valid.npy": npy(np.zeros(3, dtype=bool))},
        lambda: {"valid.npy": npy(np.ones(2**20, dtype=bool))},
        lambda: {"metadata.npy": npy(np.array("[" * 50_000))},
        lambda: {"token_ids.npy": npy(np.zeros(1, np.int8), shape=(1 + len(ZEROS),)) + ZEROS},
        lambda: {"valid.npy": npy(np.zeros(1, np.int8), shape=(1 + len(ZEROS),)) + ZEROS},
    ],
)
def test_archives_that_lie(tmp_path: Path, members: Callable[[], dict[str, bytes]]) -> None:
    refused(write_npz(tmp_path / "r.npz", honest_members() | members()))


def test_a_header_that_unpacks_to_a_gigabyte_is_not_unpacked(tmp_path: Path) -> None:
    """Its first bytes are right; a hundred megabytes of blanks would follow (here of 300)."""
    path = tmp_path / "bomb.npz"
    header = b"\x93NUMPY\x02\x00" + struct.pack("<I", 300 << 20)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("logits.npy", "w") as member,
    ):
        member.write(header)
        for _ in range(300):
            member.write(b" " * (1 << 20))
    tracemalloc.start()
    with pytest.raises(RecordFileError, match="unpacks to"):
        LogitRecord.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50 << 20


def test_a_member_that_hides_behind_a_checked_one(tmp_path: Path) -> None:
    """numpy reads "logits" rather than "logits.npy" where an archive has both."""
    hidden = {"logits": npy(LOGITS + 7, shape=(2, 3)), "token_ids": npy(IDS, shape=(10**12,))}
    record = LogitRecord.load(write_npz(tmp_path / "r.npz", hidden | honest_members()))
    assert np.array_equal(record.logits, LOGITS)
    assert "no array logits" in refused(write_npz(tmp_path / "bare.npz", hidden))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["logits.npy", "valid.npy", "other.npy"])
def test_a_member_that_comes_twice(tmp_path: Path, name: str) -> None:
    """Readers differ in which of them they take; the first has other numbers here."""
    path = write_npz(tmp_path / "r.npz", {name: npy(LOGITS + 7)} | honest_members())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, npy(LOGITS))
    assert f"two members '{name}'" in refused(path)


def test_pickles_do_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    evil = np.array([Evil()], dtype=object)
    for name in ("logits", "token_ids", "valid", "metadata"):
        arrays = {"logits": LOGITS, "token_ids": IDS} | {name: evil}
        np.savez(tmp_path / "r.npz", **arrays)
        assert "pickle" in refused(tmp_path / "r.npz")
    (tmp_path / "r.npz").write_bytes(pickle.dumps(Evil()))
    refused(tmp_path / "r.npz")
    assert not (tmp_path / "executed").exists()


def test_what_is_no_file(tmp_path: Path) -> None:
    import os

    (tmp_path / "folder.npz").mkdir()
    refused(tmp_path / "folder.npz")
    os.mkfifo(tmp_path / "pipe.npz")  # reading it would wait for ever
    refused(tmp_path / "pipe.npz")
    record = LogitRecord(LOGITS, IDS)
    for nothing in (None, 3, "", "a\0.npz"):
        for do in (LogitRecord.load, record.save):
            with pytest.raises(InvalidInputError, match=r"path = .* accepted: a str or pathlib"):
                do(nothing)
