"""Tiny trainings: reproducible, interruptible, and refused before any work if impossible."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from llm_bridge.demo_model import training as training_module
from llm_bridge.demo_model.architecture import parameter_count
from llm_bridge.demo_model.batches import Batches
from llm_bridge.demo_model.checkpoint import Checkpoint
from llm_bridge.demo_model.corpus import Corpus, Document
from llm_bridge.demo_model.tokenizer import encode_documents, never_met
from llm_bridge.demo_model.training import Recipe, train_demo_model
from thermo.errors import InvalidInputError, NotConvergedError

SEED = 20261120
TINY = Recipe(
    vocabulary_size=300,
    width=16,
    layers=2,
    heads=2,
    feed_forward=32,
    context=16,
    batch=4,
    evaluate_every=5,
)


@pytest.fixture(scope="module")
def small_corpus() -> Corpus:
    """Fourteen little programs; the last two are held out."""
    documents = [
        Document(f"part{n}.py", f"def power{n}(x):\n    return x**{n}  # {'of x ' * n}\n" * 6)
        for n in range(14)
    ]
    return Corpus(tuple(documents[:12]), tuple(documents[12:]))


def _train(folder: Path, corpus: Corpus, **arguments):
    settings = {"seed": SEED, "steps": 12, "recipe": TINY, "device": "cpu", "progress": False}
    return train_demo_model(folder, corpus=corpus, wider=["бвгд " * 40], **settings | arguments)


def _tensors(folder: Path) -> dict:
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, small_corpus) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("whole") / "model"
    return folder, _train(folder, small_corpus)


def test_tiny_run_gives_a_plain_model_folder(uninterrupted, small_corpus):
    folder, metadata = uninterrupted
    assert json.loads((folder / "metadata.json").read_text(encoding="utf-8")) == metadata
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    assert model.dtype == torch.float16
    assert parameter_count(model) == metadata["parameters"]
    assert not model.config.tie_word_embeddings
    text = "def é(x):\n\treturn  'б'\n"
    ids = tokenizer(text)["input_ids"]
    plain = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert ids == plain.encode(text).ids
    assert tokenizer.decode(ids) == text
    assert metadata["training"]["steps_taken"] == 12
    assert [row["step"] for row in metadata["training"]["curve"]] == [5, 10, 12]
    assert metadata["held_out"]["names"] == ["part12.py", "part13.py"]
    assert not [path for path in folder.parent.iterdir() if path != folder]
    # Twelve steps learn something: the loss is below that of the uniform guess.
    assert metadata["held_out"]["nats_per_token"] < np.log(metadata["vocabulary_size"])
    documents = encode_documents(plain, [d.text for d in small_corpus.training])
    held_out = encode_documents(plain, [d.text for d in small_corpus.held_out])
    unmet = never_met(documents + held_out, metadata["vocabulary_size"])
    assert metadata["never_met_token_ids"] == unmet


def test_the_same_seed_gives_the_same_weights(tmp_path, small_corpus, uninterrupted):
    _train(tmp_path / "again", small_corpus)
    _train(tmp_path / "other", small_corpus, seed=SEED + 1)
    one, two, other = (
        _tensors(f) for f in (uninterrupted[0], tmp_path / "again", tmp_path / "other")
    )
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert any(not torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("stop", [1, 5, 7])
def test_interrupted_and_resumed_is_uninterrupted(
    tmp_path, small_corpus, uninterrupted, monkeypatch, stop
):
    """Ctrl-C during a step: the step is finished, the checkpoint saved, the rest done later."""
    checkpoint = tmp_path / "state" / "run.safetensors"
    read = Batches.at

    def interrupt(self, step):
        if step == stop:
            signal.raise_signal(signal.SIGINT)
        return read(self, step)

    monkeypatch.setattr(Batches, "at", interrupt)
    with pytest.raises(KeyboardInterrupt):
        _train(tmp_path / "model", small_corpus, checkpoint=checkpoint)
    monkeypatch.undo()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert [p.name for p in checkpoint.parent.iterdir()] == ["run.safetensors"]
    assert [p.name for p in tmp_path.iterdir()] == ["state"]
    assert Checkpoint.load(checkpoint).state["step"] == stop + 1

    resumed = _train(tmp_path / "model", small_corpus, checkpoint=checkpoint)
    folder, whole = uninterrupted
    one, two = _tensors(folder), _tensors(tmp_path / "model")
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert resumed["held_out"] == whole["held_out"]
    steps = [{k: v for k, v in row.items() if k != "seconds"} for row in whole["training"]["curve"]]
    again = [
        {k: v for k, v in row.items() if k != "seconds"} for row in resumed["training"]["curve"]
    ]
    assert steps == again


def test_without_the_optimizer_state_a_resumed_run_differs(
    tmp_path, small_corpus, uninterrupted, monkeypatch
):
    """Negative control of the test above."""
    checkpoint = tmp_path / "run.safetensors"
    read = Batches.at

    def interrupt(self, step):
        if step == 5:
            signal.raise_signal(signal.SIGINT)
        return read(self, step)

    monkeypatch.setattr(Batches, "at", interrupt)
    with pytest.raises(KeyboardInterrupt):
        _train(tmp_path / "model", small_corpus, checkpoint=checkpoint)
    monkeypatch.undo()
    state = Checkpoint.load(checkpoint)
    state.tensors = {k: v for k, v in state.tensors.items() if not k.startswith("optimizer")}
    state.save(checkpoint)
    _train(tmp_path / "model", small_corpus, checkpoint=checkpoint)
    one, two = _tensors(uninterrupted[0]), _tensors(tmp_path / "model")
    assert any(not torch.equal(one[k], two[k]) for k in one)


def test_a_checkpoint_of_another_run_is_refused(tmp_path, small_corpus):
    checkpoint = tmp_path / "run.safetensors"
    _train(tmp_path / "model", small_corpus, steps=2, checkpoint=checkpoint)
    with pytest.raises(InvalidInputError, match="another run \\(different seed\\)"):
        _train(tmp_path / "other", small_corpus, steps=2, checkpoint=checkpoint, seed=1)
    fewer = Corpus(small_corpus.training[1:], small_corpus.held_out)
    with pytest.raises(InvalidInputError, match="corpus_sha256"):
        _train(tmp_path / "other", fewer, steps=2, checkpoint=checkpoint)
    save_file({"x": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(InvalidInputError, match="not a training checkpoint"):
        _train(tmp_path / "other", small_corpus, checkpoint=tmp_path / "foreign.safetensors")
    (tmp_path / "broken").write_bytes(b"not safetensors")
    with pytest.raises(InvalidInputError, match="cannot be read"):
        _train(tmp_path / "other", small_corpus, checkpoint=tmp_path / "broken")
    for unwritable in (tmp_path, tmp_path / "broken" / "run", Path("/proc/run")):
        with pytest.raises(InvalidInputError, match="cannot be written"):
            _train(tmp_path / "other", small_corpus, checkpoint=unwritable)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    "lacking", [{"state": "{}"}, {"tokenizer": ""}, {"state": "{", "tokenizer": ""}]
)
def test_a_checkpoint_with_a_broken_head_is_refused(tmp_path, lacking):
    path = tmp_path / "run.safetensors"
    head = {"format": "spinlogit demo model checkpoint 1", **lacking}
    save_file({"x": torch.zeros(2)}, path, head)
    with pytest.raises(InvalidInputError, match="cannot be read"):
        Checkpoint.load(path)


def test_a_budget_of_minutes_ends_with_the_rate_at_zero(tmp_path, small_corpus):
    metadata = _train(tmp_path / "model", small_corpus, steps=None, minutes=0.02)
    assert metadata["training"]["seconds"] >= 1.2
    assert metadata["training"]["steps_taken"] == metadata["training"]["curve"][-1]["step"] > 0


def test_a_loss_that_is_not_a_number_stops_the_run(tmp_path, small_corpus, monkeypatch):
    monkeypatch.setattr(
        training_module._Run,
        "_loss",
        lambda self, tokens: next(self.model.parameters()).sum() * float("nan"),
    )
    with pytest.raises(NotConvergedError, match="at step 0"):
        _train(tmp_path / "model", small_corpus)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, "steps = 0"),
        ({"steps": 2.5}, "steps = 2.5"),
        ({"minutes": 5.0}, "both minutes and steps"),
        ({"steps": None, "minutes": -1.0}, "minutes = -1"),
        ({"steps": None, "minutes": float("nan")}, "minutes = nan"),
        ({"seed": -1}, "seed = -1"),
        ({"device": "abacus"}, "device = 'abacus'"),
        ({"recipe": Recipe(vocabulary_size=100)}, "257 or more"),
        ({"recipe": Recipe(width=30, heads=4)}, "even multiple"),
        ({"recipe": Recipe(batch=0)}, "batch = 0"),
        ({"recipe": Recipe(decay=-0.1)}, "decay = -0.1"),
        ({"recipe": Recipe(dropout=1.0)}, "dropout = 1.0"),
        ({"recipe": Recipe(matrix_rate=float("nan"))}, "matrix_rate = nan"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(tmp_path, monkeypatch, arguments, message):
    def no_work(*_):
        raise AssertionError("work was done")

    monkeypatch.setattr(training_module, "read_corpus", no_work)
    with pytest.raises(InvalidInputError, match=message):
        train_demo_model(tmp_path / "model", **{"steps": 3, "progress": False} | arguments)
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_replaced_only_when_asked(tmp_path, small_corpus):
    folder = tmp_path / "model"
    folder.mkdir()
    with pytest.raises(InvalidInputError, match="exists"):
        _train(folder, small_corpus)
    with pytest.raises(InvalidInputError, match="holds no demo model"):
        _train(folder, small_corpus, overwrite=True)
    folder.rmdir()
    _train(folder, small_corpus, steps=1)
    (folder / "stray.txt").write_text("old", encoding="utf-8")
    _train(folder, small_corpus, steps=1, overwrite=True)
    assert not (folder / "stray.txt").exists()
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="cannot be written"):
        _train(tmp_path / "file" / "model", small_corpus)


def test_text_too_short_for_one_step(tmp_path):
    tiny = Corpus((Document("a.py", "x = 1\n"),), (Document("b.py", "y = 1\n"),))
    with pytest.raises(InvalidInputError, match="fewer than one step"):
        _train(tmp_path / "model", tiny)
