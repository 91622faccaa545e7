"""Does meaning survive two inversions? Small models trained on text sampled at T < 0.

The demo model writes a corpus at T = −1, and others at 0.7 and 1.5; with the same number of tokens
of the library text it was itself trained on that makes four. A fresh small model learns each. Then
each of these students is sampled at T = +1 and −1, and the demo model judges what it wrote; and
each student is asked what temperature *real* text has under it.

Were a student perfect, the answer would be yes: q ∝ 1/p sampled at T = −1 is 1/q ∝ p, the model
itself. But what p finds likely q finds next to impossible, so that it hardly ever stands in the
student's corpus; whether any of it comes back can only be measured.

Each stage is kept in ``--folder`` and not done again: interrupt and repeat the command as you like.
Usage: ``python benchmarks/negative_training.py [--json FILE] [--folder DIR] [--workers 2]
[--tiny]``. At full settings about 16 minutes of processor time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from measure import machine, print_table, write_record
from students import (
    CORPORA,
    LIBRARY,
    SEED,
    TINY,
    Settings,
    corpus_of,
    load_student,
    make_student,
    new_student,
    texts_of,
    unseen,
)

from llm_bridge.logits import LogitRecord
from llm_bridge.models import LanguageModel, load_model
from llm_bridge.readings import read
from llm_bridge.text.block_bootstrap import resampled_sums
from llm_bridge.text.loops import loop_share
from llm_bridge.text.python_syntax import parses_so_far
from llm_bridge.text.temperature import text_temperature
from thermo.estimate.proportion import wilson_interval
from thermo.run.progress_bar import progress_bar

COLUMNS = [
    "text",
    "cross-entropy, nats",
    "sampling entropy, nats",
    "unigrams to real, nats",
    "parses, %",
    "in loops, %",
    "control characters, %",
]
STUDENT_COLUMNS = [
    "what",
    "loss on such text",
    "entropy of its source",
    "β of real text",
    "at that β, nats",
    "a uniform guess",
]


def surprisal(model: LanguageModel, ids: np.ndarray) -> np.ndarray:
    """−ln p of every token of sequences (R, L) that begin a text, at β = 1."""
    out = np.empty(ids.shape)
    context = np.concatenate([np.zeros((len(ids), 1), dtype=np.int64), ids[:, :-1]], axis=1)
    for start in range(0, len(ids), 16):
        rows = slice(start, start + 16)
        logits = read(model, context[rows], batch=16)[:, :, model.valid]
        # Every column of the demo model is a token, so that ids need no renumbering.
        log_z = np.logaddexp.reduce(logits, axis=-1)
        out[rows] = log_z - np.take_along_axis(logits, ids[rows, :, None], axis=-1)[..., 0]
    return out


def bootstrap(per_sequence: np.ndarray, of: Callable[[np.ndarray], np.ndarray], n: int) -> float:
    """Standard error of a function of sums over sequences (R, K), by resampling sequences."""
    sums = resampled_sums(per_sequence, 1, n, np.random.default_rng(SEED))
    return float(np.std(of(sums), ddof=1))


def mean_error(values: np.ndarray, replicates: int) -> tuple[float, float]:
    """Mean over tokens (R, L), and its error by resampling sequences."""
    per_sequence = values.mean(axis=1, keepdims=True)
    error = bootstrap(per_sequence, lambda sums: sums[:, 0] / len(values), replicates)
    return float(values.mean()), error


def unigram_divergence(counts: np.ndarray, real: np.ndarray) -> np.ndarray:
    """KL(text ‖ real) of token frequencies, counts (..., V); real ones never zero, in nats."""
    p = counts / counts.sum(axis=-1, keepdims=True)
    q = (real + 0.5) / (real + 0.5).sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * (np.log(p) - np.log(q)), 0.0)
    return np.asarray(terms.sum(axis=-1))


def control_share(text: str) -> float:
    """Characters that only steer a terminal, line ends and tabs apart."""
    return sum(ord(c) < 32 and c not in "\n\r\t" for c in text) / max(1, len(text))


def judged(
    name: str,
    ids: np.ndarray,
    entropy: np.ndarray | None,
    original: LanguageModel,
    real: np.ndarray,
    replicates: int,
) -> dict[str, Any]:
    """What the original model thinks of texts (R, L), and what they are like."""
    n = replicates
    size = original.vocabulary_size
    counts = np.stack([np.bincount(row, minlength=size) for row in ids])
    pieces = [original.decode(row).replace("<|endoftext|>", "\n") for row in ids]
    parsed = sum(parses_so_far(piece) for piece in pieces)
    # Of a number of texts as large as real text has it, the divergence is above zero by chance too:
    # the line of real text shows by how much.
    divergence = float(unigram_divergence(counts.sum(axis=0), real))
    return {
        "name": name,
        "cross_entropy": mean_error(surprisal(original, ids), n),
        "entropy": None if entropy is None else mean_error(entropy, n),
        "unigrams": (
            divergence,
            bootstrap(counts, lambda sums: unigram_divergence(sums, real), min(n, 100)),
        ),
        "parses": (parsed / len(ids), *wilson_interval(parsed, len(ids), 1.0)),
        "loops": mean_error(np.array([[loop_share(row)] for row in ids]), n),
        "control": mean_error(np.array([[control_share(piece)] for piece in pieces]), n),
        "example": pieces[0][:300],
    }


def real_text_under(
    student: LanguageModel, held_out: np.ndarray, source: dict[str, Any]
) -> dict[str, Any]:
    """The β that real text (R, L) has under a student, and how far below a uniform guess it is."""
    context = np.concatenate(
        [np.zeros((len(held_out), 1), dtype=np.int64), held_out[:, :-1]], axis=1
    )
    logits = read(student, context, batch=16).reshape(-1, student.vocabulary_size)
    return source | thermometer(LogitRecord(logits, held_out.ravel(), student.valid))


def real_text_by_frequency(
    name: str, corpus: np.ndarray, valid: np.ndarray, held_out: np.ndarray
) -> tuple[dict[str, Any], np.ndarray]:
    """The same for who knows no context but how often each token stands in a corpus; ln q (V,)."""
    counts = np.bincount(corpus.ravel(), minlength=valid.size) + 1.0  # none is impossible
    log_q = np.log(counts / counts[valid].sum())
    logits = np.broadcast_to(log_q.astype(np.float32), (held_out.size, valid.size))
    row = {"name": f"token frequencies, {name}", "loss": None, "entropy": None}
    return row | thermometer(LogitRecord(logits, held_out.ravel(), valid)), log_q


def thermometer(record: LogitRecord) -> dict[str, Any]:
    """β of a text, and its cross-entropy there, at β = 1 and for a uniform guess."""
    fit = text_temperature(record, seed=SEED)
    return {
        "beta": (fit.beta, fit.stderr),
        "fitted": (fit.fitted_entropy, fit.fitted_entropy_error),
        "at_one": (fit.cross_entropy, fit.cross_entropy_error),
        "uniform": float(np.log(record.valid.sum())),
    }


def shown(value: tuple[float, ...] | None, scale: float = 1.0) -> str | None:
    """A number with its error, as the tables have it."""
    from thermo.estimate.autocorrelation import rounded_to_error

    if value is None:
        return None
    if len(value) == 3:  # an interval
        return f"{scale * value[0]:.0f} ({scale * value[1]:.0f}–{scale * value[2]:.0f})"
    if value[1] == 0.0:  # the same in all texts
        return f"{scale * value[0]:.4g}"
    return rounded_to_error(scale * value[0], scale * value[1])


def measure(settings: Settings, folder: Path) -> dict[str, Any]:
    """All numbers, from the stages in the folder."""
    import torch

    torch.set_num_threads(1)
    original = load_model("demo")
    assert original.held_out_text is not None
    length, count, n = settings.sample_length, settings.samples, settings.replicates
    held_out = original.encode(original.held_out_text)
    held_out = held_out[: held_out.size // length * length].reshape(-1, length)[:count]
    library = corpus_of(LIBRARY, folder)["ids"]
    real = np.bincount(library.ravel(), minlength=original.vocabulary_size)
    rng = np.random.default_rng(SEED)
    uniform = rng.choice(np.flatnonzero(original.valid), size=(count, length))

    def judge(name: str, ids: np.ndarray, entropy: np.ndarray | None = None) -> dict[str, Any]:
        return judged(name, ids, entropy, original, real, n)

    texts = [judge("real, held out", held_out), judge("tokens at random", uniform)]
    students = []
    for name, beta_of_corpus in CORPORA.items():
        corpus = corpus_of(name, folder)
        if beta_of_corpus is not None:
            cut = (corpus[key][:count, :length] for key in ("ids", "entropy"))
            texts.append(judge(f"demo model at {name}", *cut))
        for beta in (1.0, -1.0):
            written = texts_of(name, beta, folder)
            title = f"student of {name}, at T = {'+' if beta > 0 else '−'}1"
            texts.append(judge(title, written["ids"], written["entropy"]))
        student = load_student(name, settings, folder, original)
        loss = surprisal(student, corpus["ids"][-unseen(settings) :][:count])
        source = {
            "name": name,
            "loss": mean_error(loss, n),
            "entropy": mean_error(corpus["entropy"], n) if "entropy" in corpus else None,
        }
        students.append(real_text_under(student, held_out, source))
        # Is it more than how often each token comes? Who knows that alone, says how much that is.
        seen = corpus["ids"][: -unseen(settings)]
        row, log_q = real_text_by_frequency(name, seen, original.valid, held_out)
        students.append(row)
        if beta_of_corpus is not None and beta_of_corpus < 0:
            inverted = np.where(original.valid, np.exp(-log_q), 0.0)
            drawn = rng.choice(inverted.size, size=(count, length), p=inverted / inverted.sum())
            texts.append(judge(f"token frequencies of {name}, at T = −1", drawn))
    return {"texts": texts, "students": students}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--folder", type=Path, default=Path("out/negative_training"))
    parser.add_argument("--workers", type=int, default=2, help="processes, one core each")
    parser.add_argument("--tiny", action="store_true", help="a small setting, to try it out")
    options = parser.parse_args()
    settings = TINY if options.tiny else Settings()
    fingerprint = load_model("demo").fingerprint
    made_of = [asdict(settings), CORPORA, SEED, fingerprint]
    identity = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:12]
    folder = options.folder / identity
    folder.mkdir(parents=True, exist_ok=True)

    names = list(CORPORA)
    if options.workers > 1:
        with (
            ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool,
            progress_bar(True, len(names), unit="corpus", what="students") as bar,
        ):
            for future in [pool.submit(make_student, n, settings, folder, False) for n in names]:
                future.result()
                bar.update()
    else:
        for name in names:
            make_student(name, settings, folder, True)
    found = measure(settings, folder)

    rows = [
        [
            text["name"],
            *(shown(text[key]) for key in ("cross_entropy", "entropy", "unigrams")),
            shown(text["parses"], 100),
            shown(text["loops"], 100),
            shown(text["control"], 100),
        ]
        for text in found["texts"]
    ]
    learned = [
        [s["name"], *(shown(s[key]) for key in ("loss", "entropy", "beta", "fitted")), s["uniform"]]
        for s in found["students"]
    ]
    title = "What students of inverted text write, under the model that wrote their text"
    print_table(title, COLUMNS, rows)
    about_students = "What the students learned, and real text under them"
    print_table(about_students, STUDENT_COLUMNS, learned)
    parameters = sum(p.numel() for p in new_student(settings).parameters())
    host = machine("torch", "transformers")
    write_record(
        options.json,
        title,
        f"Demo model ({fingerprint[:12]}). Corpora of {settings.sequences} × {settings.length} "
        f"tokens; students of {parameters:,} "
        f"parameters, {settings.steps} steps of {settings.batch} × {settings.length} tokens; "
        f"{settings.samples} texts of {settings.sample_length} tokens each. Unigrams to real: "
        "KL(frequencies in the text ‖ in library text). Errors of one standard error, by "
        "resampling texts.",
        COLUMNS,
        rows,
        host,
        **found,
    )
    if options.json is not None:
        write_record(
            options.json.with_stem(f"{options.json.stem}_students"),
            about_students,
            "Nats per token, errors of one standard error. β of real text: the one at which the "
            "student's logits, or the logarithms of token frequencies, fit held-out library text "
            "best.",
            STUDENT_COLUMNS,
            learned,
            host,
        )


if __name__ == "__main__":
    main()
