"""The bundled demo model: its text, its training and the files that are shipped."""

from __future__ import annotations

import hashlib
import json
import signal
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer

from llm_bridge.demo_model import training as training_module
from llm_bridge.demo_model.architecture import (
    build_model,
    configuration,
    parameter_count,
)
from llm_bridge.demo_model.batches import Batches
from llm_bridge.demo_model.checkpoint import Checkpoint
from llm_bridge.demo_model.corpus import (
    Corpus,
    Document,
    is_held_out,
    read_corpus,
    wider_texts,
)
from llm_bridge.demo_model.dropout import add_dropout, step_generator
from llm_bridge.demo_model.evaluation import Ratio, evaluate
from llm_bridge.demo_model.optimizers import build_optimizers, rate_factor
from llm_bridge.demo_model.publication import reading_sample
from llm_bridge.demo_model.tokenizer import (
    END_OF_TEXT,
    encode_documents,
    never_met,
    train_tokenizer,
)
from llm_bridge.demo_model.training import Recipe, train_demo_model
from thermo.errors import InvalidInputError, NotConvergedError

SEED = 20261120
WEIGHTS = Path(training_module.__file__).parent / "weights"
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
def corpus() -> Corpus:
    return read_corpus()


@pytest.fixture(scope="module")
def small_corpus() -> Corpus:
    """Fourteen little programs; the last two are held out."""
    documents = [
        Document(f"part{n}.py", f"def power{n}(x):\n    return x**{n}  # {'of x ' * n}\n" * 6)
        for n in range(14)
    ]
    return Corpus(tuple(documents[:12]), tuple(documents[12:]))


@pytest.fixture(scope="module")
def metadata() -> dict:
    return json.loads((WEIGHTS / "metadata.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def bundled():
    return AutoModelForCausalLM.from_pretrained(
        WEIGHTS, local_files_only=True, use_safetensors=True, dtype=torch.float32
    )


@pytest.fixture(scope="module")
def bundled_tokenizer() -> Tokenizer:
    return _bundled_tokenizer()


# ── Corpus ────────────────────────────────────────────────────────────────────────────────────


def test_split_is_the_same_every_time_and_disjoint(corpus):
    again = read_corpus()
    assert again.sha256 == corpus.sha256
    training, held_out = ({d.name for d in part} for part in (corpus.training, corpus.held_out))
    assert training
    assert held_out
    assert not training & held_out
    assert not {d.text for d in corpus.training} & {d.text for d in corpus.held_out}
    assert all(is_held_out(name) for name in held_out)
    assert not any(is_held_out(name) for name in training)


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("fractions.py", True),
        ("tempfile.py", True),
        ("pydoc_data/topics/string-methods", True),
        ("os.py", False),
        ("argparse.py", False),
        ("pydoc_data/topics/compound", False),
    ],
)
def test_side_of_a_name_is_fixed(name, side):
    """The sides in the shipped metadata would be wrong if the rule changed."""
    assert is_held_out(name) is side


def test_corpus_holds_library_text_only(corpus):
    names = [d.name for d in corpus.training + corpus.held_out]
    parts = {part for name in names for part in name.split("/")}
    assert not parts & {"test", "tests", "idle_test", "site-packages", "encodings"}
    assert "pydoc_data/topics.py" not in names
    assert not any("sysconfigdata" in name for name in names)
    share = sum(len(d.text) for d in corpus.held_out) / sum(
        len(d.text) for d in corpus.training + corpus.held_out
    )
    assert 0.02 < share < 0.08


def test_held_out_topics_are_not_quoted_in_training(corpus):
    def paragraphs(documents):
        return {
            " ".join(p.split())
            for d in documents
            if d.name.startswith("pydoc_data/")
            for p in d.text.split("\n\n")
        }

    shared = paragraphs(corpus.training) & paragraphs(corpus.held_out)
    assert all(len(p) < 60 for p in shared)


def _library(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def test_reading_a_library(tmp_path):
    held = next(f"m{n}.py" for n in range(10_000) if is_held_out(f"m{n}.py"))
    library = _library(
        tmp_path,
        {
            held: b"held = 1\r\n",
            "a.py": b"one = 1\n",
            "b.py": b"one = 1\n",
            "latin.py": "# -*- coding: latin-1 -*-\n# été\n".encode("latin-1"),
            "empty.py": b"\n",
            "test/test_a.py": b"x = 1\n",
            "pkg/tests/t.py": b"x = 2\n",
            "encodings/cp037.py": b"x = 3\n",
            "encodings/iso8859_5.py": b"# CYRILLIC\n",
            "pydoc_data/topics.py": b"topics = {'if': 'The if statement', 'zz': 'Other'}\n",
        },
    )
    corpus = read_corpus(library)
    texts = {d.name: d.text for d in corpus.training + corpus.held_out}
    assert {held, "a.py", "latin.py"} < set(texts)
    assert texts[held] == "held = 1\n"
    assert texts["latin.py"].endswith("été\n")
    assert texts["pydoc_data/topics/if"] == "The if statement"
    assert len(texts) == 5
    assert "# CYRILLIC\n" in wider_texts(library)

    # A file more moves no other file to the other side, but it changes the hash.
    (library / "c.py").write_bytes(b"two = 2\n")
    larger = read_corpus(library)
    assert {d.name for d in larger.held_out} - {"c.py"} == {d.name for d in corpus.held_out}
    assert larger.sha256 != corpus.sha256


def test_library_must_exist_and_be_large_enough(tmp_path):
    with pytest.raises(InvalidInputError, match="no standard library"):
        read_corpus(tmp_path / "absent")
    with pytest.raises(InvalidInputError, match="too few"):
        read_corpus(_library(tmp_path, {"os.py": b"x = 1\n"}))


# ── Tokenizer ─────────────────────────────────────────────────────────────────────────────────


def test_every_byte_is_a_token():
    tokenizer = train_tokenizer(["def f():\n    return 1\n"] * 3, 300)
    assert set(pre_tokenizers.ByteLevel.alphabet()) <= set(tokenizer.get_vocab())
    assert tokenizer.token_to_id(END_OF_TEXT) == 0


@cache
def _bundled_tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(WEIGHTS / "tokenizer.json"))


@given(st.text())
@settings(max_examples=50, deadline=None)
def test_any_text_survives_the_bundled_tokenizer(text):
    tokenizer = _bundled_tokenizer()
    text = text.replace(END_OF_TEXT, "")
    assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


# ── Batches ───────────────────────────────────────────────────────────────────────────────────


def test_an_epoch_predicts_every_token_at_most_once_and_nearly_all():
    documents = [np.arange(100 * n, 100 * n + 60, dtype=np.int32) for n in range(20)]
    batches = Batches(documents, context=8, batch=5, seed=SEED)
    for epoch in range(2):
        first = epoch * batches.steps_per_epoch
        predicted = np.concatenate(
            [batches.at(first + s)[:, 1:].ravel() for s in range(batches.steps_per_epoch)]
        )
        assert len(set(predicted.tolist())) == len(predicted)
        # Lost are at most: the offset, the last partial window, the last partial batch.
        assert len(predicted) >= batches.tokens - 1 - 2 * 8 - 5 * 8


def test_windows_depend_on_seed_and_step_alone():
    documents = [np.arange(300, dtype=np.int32), np.arange(300, 500, dtype=np.int32)]
    one = Batches(documents, context=8, batch=5, seed=SEED)
    two = Batches(documents, context=8, batch=5, seed=SEED)
    forward = [one.at(step) for step in range(40)]
    backward = [two.at(step) for step in reversed(range(40))][::-1]
    assert all((a == b).all() for a, b in zip(forward, backward, strict=True))
    other = Batches(documents, context=8, batch=5, seed=SEED + 1)
    assert (other.at(0) != forward[0]).any()
    assert (forward[one.steps_per_epoch] != forward[0]).any()


# ── Evaluation ────────────────────────────────────────────────────────────────────────────────


def test_error_of_a_ratio_is_its_jackknife_error():
    """To first order in 1/D; with D = 400 the two differ by far less than 2 %."""
    generator = np.random.default_rng(SEED)
    size = generator.uniform(1.0, 3.0, 400)
    nats = size * generator.normal(2.0, 0.3, 400)
    ratio = Ratio.of(nats, size)
    left_out = (nats.sum() - nats) / (size.sum() - size)
    jackknife = np.sqrt(399 / 400 * ((left_out - left_out.mean()) ** 2).sum())
    assert ratio.value == pytest.approx(nats.sum() / size.sum(), rel=1e-14)
    assert ratio.error == pytest.approx(jackknife, rel=0.02)


def test_a_uniform_model_loses_the_logarithm_of_its_vocabulary():
    model = build_model(configuration(300, width=16, layers=1, heads=2, context=8), SEED)
    with torch.no_grad():
        model.lm_head.weight.zero_()
    documents = [np.arange(n, dtype=np.int32) for n in (3, 8, 9, 10, 50)]
    loss = evaluate(model, documents, [10] * 5, context=8, batch=3)
    assert loss.tokens.tolist() == [2, 7, 8, 9, 49]
    np.testing.assert_allclose(loss.nats, loss.tokens * np.log(300), rtol=1e-6)
    assert loss.nats_per_token.value == pytest.approx(np.log(300), rel=1e-6)


def test_loss_is_the_one_that_transformers_computes():
    model = build_model(configuration(300, width=16, layers=2, heads=2, context=16), SEED)
    ids = np.random.default_rng(SEED).integers(300, size=40).astype(np.int32)
    by_hand = 0.0
    for start in range(0, 39, 16):
        window = torch.from_numpy(ids[start : start + 17].astype(np.int64))[None]
        answer = model(input_ids=window, labels=window)
        by_hand += answer.loss.item() * (window.shape[1] - 1)
    loss = evaluate(model, [ids, ids[:5]], [1, 1], context=16)
    assert loss.nats[0] == pytest.approx(by_hand, rel=1e-5)


# ── Optimisers ────────────────────────────────────────────────────────────────────────────────


def test_every_parameter_has_one_optimizer():
    model = build_model(configuration(300, width=16, layers=2, heads=2), SEED)
    optimizers = build_optimizers(model, matrix_rate=0.02, table_rate=0.003, decay=0.002)
    held = [id(p) for o in optimizers for group in o.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    decays = {
        round(group["lr"] * group["weight_decay"], 12)
        for o in optimizers
        for group in o.param_groups
    }
    assert decays == {0.002, 0.0}


def test_dropout_is_decided_by_seed_and_step_and_absent_in_evaluation():
    config = configuration(300, width=16, layers=1, heads=2)
    ids = torch.arange(20)[None]
    plain, dropped = build_model(config, SEED), build_model(config, SEED)
    add_dropout(dropped, 0.5)

    def logits(seed: int, step: int) -> torch.Tensor:
        with torch.no_grad(), step_generator(seed, step, torch.device("cpu")):
            return dropped(input_ids=ids).logits

    dropped.train()
    before = torch.get_rng_state()
    assert torch.equal(logits(SEED, 3), logits(SEED, 3))
    assert not torch.equal(logits(SEED, 3), logits(SEED, 4))
    assert not torch.equal(logits(SEED, 3), logits(SEED + 1, 3))
    assert torch.equal(before, torch.get_rng_state())
    dropped.eval()
    assert torch.equal(logits(SEED, 3), plain.eval()(input_ids=ids).logits)


def test_rate_rises_then_falls_to_zero():
    done = np.linspace(0, 1, 101)
    rates = np.array([rate_factor(x, 0.1) for x in done])
    assert rates.argmax() == 10
    assert (np.diff(rates[:11]) > 0).all()
    assert (np.diff(rates[10:]) < 0).all()
    assert rate_factor(1.5, 0.1) == 0.0


def test_initial_weights_come_from_the_seed_alone():
    config = configuration(300, width=16, layers=1, heads=2)
    before = torch.get_rng_state()
    one, two, other = (build_model(config, s).state_dict() for s in (SEED, SEED, SEED + 1))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert not torch.equal(one["lm_head.weight"], other["lm_head.weight"])


# ── Training, tiny ────────────────────────────────────────────────────────────────────────────


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


def test_reading_sample_has_code_and_prose_within_its_limit(corpus):
    sample = reading_sample(corpus.held_out, 40_000)
    assert len({d.name for d in sample}) == len(sample)
    assert 0 < sum(len(d.text.encode()) for d in sample) <= 40_000
    assert len({d.name.startswith("pydoc_data/") for d in sample}) == 2
    assert len(reading_sample(corpus.held_out, 1)) == 1


# ── The shipped files ─────────────────────────────────────────────────────────────────────────


def test_metadata_agrees_with_the_files(metadata, bundled, bundled_tokenizer):
    assert metadata["parameters"] == parameter_count(bundled)
    assert 2e6 <= metadata["parameters"] <= 6e6
    assert metadata["vocabulary_size"] == bundled_tokenizer.get_vocab_size()
    assert bundled.get_output_embeddings().weight.shape[0] == metadata["vocabulary_size"]
    assert metadata["context"] == bundled.config.max_position_embeddings
    assert not bundled.config.tie_word_embeddings
    embeddings = bundled.get_input_embeddings().weight, bundled.get_output_embeddings().weight
    assert not torch.equal(*embeddings)
    assert not [name for name, _ in bundled.named_parameters() if name.endswith("bias")]
    data = (WEIGHTS / "model.safetensors").read_bytes()
    assert len(data) <= 12_000_000
    assert hashlib.sha256(data).hexdigest() == metadata["weights_sha256"]
    with safe_open(WEIGHTS / "model.safetensors", framework="pt") as file:
        kinds = {file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118
    assert kinds == {"F16"}
    assert all(torch.isfinite(p).all() for p in bundled.parameters())


def test_metadata_says_how_the_weights_were_made(metadata):
    assert metadata["training"]["seed"] >= 0
    assert len(metadata["corpus"]["sha256"]) == 64
    assert {"python", "torch", "transformers", "tokenizers"} <= set(metadata["versions"])
    assert metadata["hardware"]
    training = metadata["training"]
    recipe = Recipe(**training["recipe"])
    assert training["tokens_seen"] == training["steps_taken"] * recipe.batch * recipe.context
    assert training["seconds"] > 0
    steps = [row["step"] for row in training["curve"]]
    assert steps == sorted(steps)
    assert training["best_step"] in steps
    corpus = metadata["corpus"]
    assert corpus["held_out"]["documents"] == len(metadata["held_out"]["names"])
    assert corpus["training"]["documents"] > 10 * corpus["held_out"]["documents"]
    held_out = metadata["held_out"]
    assert held_out["bits_per_byte"] == pytest.approx(
        held_out["nats_per_token"]
        / np.log(2)
        * corpus["held_out"]["tokens"]
        / corpus["held_out"]["bytes"],
        rel=1e-12,
    )
    assert 0 < held_out["bits_per_byte_error"] < 0.2
    assert 0 < held_out["nats_per_token_error"] < 0.3
    assert held_out["bits_per_byte"] < 1.35


def test_held_out_text_is_held_out(metadata):
    data = (WEIGHTS / "held_out.txt").read_bytes()
    assert 30_000 <= len(data) <= 60_000
    assert len(data) == metadata["held_out_text"]["bytes"]
    names = metadata["held_out_text"]["names"]
    assert set(names) <= set(metadata["held_out"]["names"])
    assert all(is_held_out(name) for name in metadata["held_out"]["names"])
    assert {name.startswith("pydoc_data/") for name in names} == {True, False}


def test_bundled_weights_have_the_loss_they_state(metadata, bundled, bundled_tokenizer):
    """The float16 weights as shipped, on the text as shipped."""
    text = (WEIGHTS / "held_out.txt").read_text(encoding="utf-8")
    documents = encode_documents(bundled_tokenizer, [text])
    loss = evaluate(bundled, documents, [len(text.encode())], context=metadata["context"])
    stated = metadata["held_out_text"]
    assert int(loss.tokens[0]) == stated["tokens"]
    assert loss.nats_per_token.value == pytest.approx(stated["nats_per_token"], abs=1e-3)
    assert loss.bits_per_byte.value == pytest.approx(stated["bits_per_byte"], abs=1e-3)
    # One text among the held-out ones: not far from their mean.
    assert abs(stated["bits_per_byte"] - metadata["held_out"]["bits_per_byte"]) < 0.4


def test_never_met_tokens_are_never_met(metadata, corpus, bundled_tokenizer):
    unmet = metadata["never_met_token_ids"]
    size = metadata["vocabulary_size"]
    assert len(unmet) >= 50
    assert unmet == sorted(set(unmet))
    assert 0 <= unmet[0] < unmet[-1] < size
    assert set(pre_tokenizers.ByteLevel.alphabet()) <= set(bundled_tokenizer.get_vocab())
    # On any Python: not in the text that is shipped, not in files that are held out by name.
    shipped = (WEIGHTS / "held_out.txt").read_text(encoding="utf-8")
    assert not set(unmet) & set(bundled_tokenizer.encode(shipped).ids)
    if corpus.sha256 == metadata["corpus"]["sha256"]:
        # On the Python that they were made with: exactly these, no token more and none fewer.
        texts = [d.text for d in corpus.training + corpus.held_out]
        assert never_met(encode_documents(bundled_tokenizer, texts), size) == unmet
        assert metadata["held_out"]["names"] == [d.name for d in corpus.held_out]
        counts = metadata["corpus"]
        assert counts["training"]["documents"] == len(corpus.training)
        assert counts["training"]["bytes"] == sum(len(d.text.encode()) for d in corpus.training)


def test_never_met_tokens_stand_out(metadata, bundled):
    """No text ever raised their logits: at held-out positions they are far below the others."""
    unmet = np.array(metadata["never_met_token_ids"])
    generator = np.random.default_rng(SEED)
    ids = torch.from_numpy(generator.integers(metadata["vocabulary_size"], size=(1, 256)))
    with torch.no_grad():
        mean = bundled(input_ids=ids, use_cache=False).logits[0].mean(dim=0).numpy()
    others = np.delete(mean, unmet)
    assert np.median(mean[unmet]) < np.median(others)


def test_licence_notice_is_kept():
    notice = (WEIGHTS.parent / "NOTICE").read_text(encoding="utf-8")
    assert "Python Software Foundation" in notice
    assert "All Rights Reserved" in notice
    assert "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2" in notice
    assert "Summary of the changes" in notice
