"""Loading local models, and logits that do not depend on how the text was cut into windows."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from llm_bridge.errors import ModelLoadError, ModelNotFoundError
from llm_bridge.models import LanguageModel, load_model, windows
from thermo.errors import InvalidInputError, SpinlogitError


def test_logits_are_those_of_the_module(model: LanguageModel, text: str) -> None:
    import torch

    ids = model.encode(text)[: model.context_length]
    with torch.no_grad():
        expected = model.torch_module(input_ids=torch.from_numpy(ids)[None]).logits[0].numpy()
    got = model.logits(ids)
    assert got.dtype == np.float32
    assert got.shape == (ids.size, model.vocabulary_size)
    assert np.array_equal(got, expected)


def test_text_survives_encoding(model: LanguageModel, text: str) -> None:
    ids = model.encode(text)
    assert ids.dtype == np.int64
    assert model.decode(ids) == text
    assert model.encode("").size == 0


def test_vocabulary_and_padding(model: LanguageModel) -> None:
    words = model.vocabulary
    assert len(words) == model.vocabulary_size == model.valid.size
    assert model.valid.sum() == len(model.tokenizer) == model.vocabulary_size - 5
    assert not model.valid[-5:].any()
    assert words[-1] == f"<unused {model.vocabulary_size - 1}>"
    for token in model.encode(" temperature é"):
        whole = model.decode([token])
        assert words[token] == whole or "\ufffd" in whole
    assert " t" in words  # the space that begins a word is kept


@pytest.mark.parametrize(
    ("length", "context"), [(1, 8), (8, 8), (9, 8), (100, 8), (101, 7), (5, 1)]
)
def test_windows_cover_everything_once_with_half_a_context(length: int, context: int) -> None:
    rows = np.zeros(length, dtype=int)
    for start, stop, first in windows(length, context):
        assert 0 <= start <= first < stop <= length
        assert stop - start <= context
        assert first - start >= (context // 2 if start else 0)
        rows[first:stop] += 1
    assert (rows == 1).all()


def test_long_texts_are_read_in_windows(model: LanguageModel, text: str) -> None:
    context = model.context_length
    assert context is not None
    ids = model.encode(text)[: 2 * context + 11]
    assert ids.size > 2 * context
    whole = model.logits(ids)
    assert np.array_equal(whole[:context], model.logits(ids[:context]))
    # Row t of the second window has seen the tokens from context/2 on, and nothing else.
    second = model.logits(ids[context // 2 : context // 2 + context])
    assert np.array_equal(whole[context : context + context // 2], second[context // 2 :])
    last = model.logits(ids[-context:])
    assert np.array_equal(whole[-11:], last[-11:])


def test_loaded_for_reading_only(model: LanguageModel) -> None:
    import torch

    assert not model.torch_module.training
    assert all(not p.requires_grad for p in model.torch_module.parameters())
    assert {p.dtype for p in model.torch_module.parameters()} == {torch.float32}


def test_half_precision_weights_are_read_as_float32(model_folder: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(model_folder, tmp_path / "half")
    weights = load_file(folder / "model.safetensors")
    half = {name: tensor.half() for name, tensor in weights.items()}
    save_file(half, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "metadata.json").write_text(json.dumps({"seed": 1}), encoding="utf-8")
    (folder / "held_out.txt").write_text("not seen", encoding="utf-8")
    loaded = load_model(folder)
    got = dict(loaded.torch_module.named_parameters())["lm_head.weight"]
    assert got.dtype == torch.float32
    assert torch.equal(got, half["lm_head.weight"].float())
    assert (loaded.name, loaded.metadata, loaded.held_out_text) == ("half", {"seed": 1}, "not seen")
    assert loaded.fingerprint != load_model(model_folder).fingerprint
    assert loaded.tokenizer_fingerprint == load_model(model_folder).tokenizer_fingerprint


def test_a_model_in_memory(model: LanguageModel) -> None:
    bare = LanguageModel(model.torch_module, model.tokenizer)
    assert (bare.name, bare.metadata, bare.held_out_text) == ("model", {}, None)
    assert len(bare.fingerprint) == len(model.fingerprint) == 64
    assert "vocabulary 305, context 64" in repr(bare)


@pytest.mark.parametrize("source", ["gpt2", "meta-llama/Llama-3.1-8B", "/no/such/folder"])
def test_names_of_models_elsewhere_are_refused(source: str) -> None:
    with pytest.raises(ModelNotFoundError, match=r"no folder .* accepted: \"demo\"") as caught:
        load_model(source)
    assert isinstance(caught.value, SpinlogitError)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("config.json", "config.json"),
        ("model.safetensors", r"\*.safetensors"),
        ("tokenizer.json", "tokenizer.json"),
    ],
)
def test_incomplete_folders_are_refused(
    model_folder: Path, tmp_path: Path, missing: str, named: str
) -> None:
    folder = shutil.copytree(model_folder, tmp_path / "copy")
    (folder / missing).unlink()
    with pytest.raises(ModelNotFoundError, match=f"has no {named}; accepted"):
        load_model(folder)


def test_broken_models_are_refused_in_one_line(model_folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(model_folder, tmp_path / "broken")
    weights = load_file(folder / "model.safetensors")
    lacking = {name: t for name, t in weights.items() if "lm_head" not in name}
    save_file(lacking, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelLoadError, match=r"lack 1 of the model's parameters.*lm_head"):
        load_model(folder)
    (folder / "model.safetensors").write_bytes(b"\x00" * 64)
    with pytest.raises(ModelLoadError, match="cannot load") as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)
    (folder / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelLoadError, match="cannot load"):
        load_model(folder)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("metadata.json", b"{", "metadata.json of broken is not JSON"),
        ("metadata.json", b"[1]", "metadata.json of broken is not a JSON object"),
        ("metadata.json", b"[" * 100_000, "metadata.json of broken is not JSON"),
        ("metadata.json", b"\xff{}", "metadata.json of broken is not UTF-8"),
        ("held_out.txt", b"abc\xff", r"held_out.txt of broken is not UTF-8 \(byte 3\)"),
    ],
)
def test_broken_files_beside_the_weights(
    model: LanguageModel, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    loaded = LanguageModel(model.torch_module, model.tokenizer, name="broken", folder=tmp_path)
    with pytest.raises(ModelLoadError, match=said) as caught:
        _ = loaded.metadata if name == "metadata.json" else loaded.held_out_text
    assert "\n" not in str(caught.value)


def test_code_that_comes_with_a_model_is_not_run(model_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model_folder, tmp_path / "hostile")
    mark = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(mark)!r}, 'w')\nclass Evil: pass\n")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Evil"}}
    config["auto_map"]["AutoModelForCausalLM"] = "evil.Evil"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelLoadError):
        load_model(folder)
    assert not mark.exists()


@pytest.mark.parametrize("ids", [[], [[1, 2]], [0.5], [-1], [10**6]])
def test_bad_ids(model: LanguageModel, ids: list) -> None:
    with pytest.raises(InvalidInputError):
        model.logits(ids)


def test_bad_text(model: LanguageModel) -> None:
    with pytest.raises(InvalidInputError, match="bytes"):
        model.encode(b"text")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="Unicode"):
        model.encode("lone \ud800 surrogate")


def test_settings_of_transformers_are_left_alone(model_folder: Path, capfd) -> None:
    from transformers.utils import logging as theirs

    before = theirs.get_verbosity(), theirs.is_progress_bar_enabled()
    root = logging.getLogger().level
    load_model(model_folder)
    assert (theirs.get_verbosity(), theirs.is_progress_bar_enabled()) == before
    assert logging.getLogger().level == root
    assert capfd.readouterr() == ("", "")


def test_importing_does_not_load_torch() -> None:
    code = (
        "import sys, llm_bridge.models, llm_bridge.logits, llm_bridge.spectrum, "
        "llm_bridge.brownian\n"
        "print([m for m in ('torch', 'transformers', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_missing_extra_is_named(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(SpinlogitError, match=r'pip install "spinlogit\[llm\]"'):
        load_model(model_folder)
