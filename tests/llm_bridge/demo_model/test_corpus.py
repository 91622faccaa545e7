"""The text: the standard library, of which the same part is held out every time."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_bridge.demo_model.corpus import is_held_out, read_corpus, wider_texts
from llm_bridge.demo_model.publication import reading_sample
from thermo.errors import InvalidInputError


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


def test_reading_sample_has_code_and_prose_within_its_limit(corpus):
    sample = reading_sample(corpus.held_out, 40_000)
    assert len({d.name for d in sample}) == len(sample)
    assert 0 < sum(len(d.text.encode()) for d in sample) <= 40_000
    assert len({d.name.startswith("pydoc_data/") for d in sample}) == 2
    assert len(reading_sample(corpus.held_out, 1)) == 1
