"""Small models trained on text that the demo model wrote: corpora, students, what they write.

Each stage is kept in a file of its own and not done again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llm_bridge.models import LanguageModel, load_model
from thermo.atomic_write import replacement
from thermo.run.progress_bar import progress_bar

__all__ = [
    "CORPORA",
    "LIBRARY",
    "SEED",
    "TINY",
    "Settings",
    "corpus_of",
    "load_student",
    "make_student",
    "new_student",
    "texts_of",
    "unseen",
]

LIBRARY = "library text"
CORPORA = {"T = −1": -1.0, "T = 0.7": 1 / 0.7, "T = 1.5": 1 / 1.5, LIBRARY: None}
"""What students are trained on, and the β that the demo model writes it at."""

SEED = 20261122


@dataclass(frozen=True)
class Settings:
    """Sizes of everything: a run's stages are kept under a hash of them.

    Attributes
    ----------
    sequences, length : int
        Of each corpus; an eighth of the sequences is kept from training.
    width, layers, heads, feed_forward : int
        Of the students.
    steps, batch : int
        Of their training.
    samples, sample_length : int
        Sequences drawn from each student at each temperature, and tokens of each.
    replicates : int
        Of the bootstrap over sequences.
    """

    sequences: int = 1024
    length: int = 256
    width: int = 80
    layers: int = 2
    heads: int = 4
    feed_forward: int = 208
    steps: int = 400
    batch: int = 16
    samples: int = 96
    sample_length: int = 128
    replicates: int = 400


TINY = Settings(8, 24, 8, 1, 2, 16, 3, 2, 4, 12, 20)


def kept(path: Path, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays in a file; made and written as a whole first, if it is not there."""
    if not path.exists():
        arrays = make()
        with replacement(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)
    return _arrays(path)


def write_texts(
    model: LanguageModel, beta: float, count: int, length: int, seed: int, progress: bool
) -> dict[str, np.ndarray]:
    """Sequences (count, length) drawn at β, each from the token that begins a text."""
    from llm_bridge.decoding import generate_many

    texts = generate_many(
        model,
        [[0]] * count,
        beta,
        max_tokens=length,
        seed=seed,
        stop_at_end=False,
        progress=progress,
    )
    return {
        "ids": np.stack([text.ids for text in texts]),
        "entropy": np.stack([text.entropy for text in texts]),
    }


def library_texts(model: LanguageModel, count: int, length: int) -> dict[str, np.ndarray]:
    """As many tokens of the training part of the library, in sequences from random places."""
    from llm_bridge.demo_model.corpus import read_corpus
    from llm_bridge.demo_model.tokenizer import encode_documents

    texts = [document.text for document in read_corpus().training]
    stream = np.concatenate(encode_documents(model.tokenizer.backend_tokenizer, texts))
    starts = np.random.default_rng(SEED).integers(stream.size - length, size=count)
    return {"ids": np.stack([stream[s : s + length] for s in starts]).astype(np.int64)}


def train(settings: Settings, corpus: np.ndarray, progress: bool) -> dict[str, np.ndarray]:
    """Weights of a fresh student after it has read a corpus (sequences, length)."""
    import torch
    from torch import nn

    from llm_bridge.demo_model.batches import Batches
    from llm_bridge.demo_model.optimizers import build_optimizers, rate_factor, set_rates

    module = new_student(settings).train()
    optimizers = build_optimizers(module, matrix_rate=0.02, table_rate=3e-3, decay=2e-3)
    documents = [np.concatenate([[0], row]).astype(np.int32) for row in corpus]
    batches = Batches(documents, context=settings.length, batch=settings.batch, seed=SEED)
    with progress_bar(progress, settings.steps, unit="step", what="training") as bar:
        for step in range(settings.steps):
            tokens = torch.from_numpy(batches.at(step)).long()
            logits = module(input_ids=tokens[:, :-1], use_cache=False).logits
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
            loss.backward()
            set_rates(optimizers, rate_factor((step + 0.5) / settings.steps, 0.02))
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
            bar.update()
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}


def new_student(settings: Settings) -> Any:
    """The student before training: the demo model's architecture, smaller."""
    from llm_bridge.demo_model.architecture import build_model, configuration

    return build_model(
        configuration(
            width=settings.width,
            layers=settings.layers,
            heads=settings.heads,
            feed_forward=settings.feed_forward,
            context=512,
        ),
        SEED,
    )


def make_student(name: str, settings: Settings, folder: Path, progress: bool) -> None:
    """Corpus, student and the student's own texts; what is there already is not made again."""
    import torch

    torch.set_num_threads(1)
    original = load_model("demo")

    def write() -> dict[str, np.ndarray]:
        beta = CORPORA[name]
        if beta is None:
            return library_texts(original, settings.sequences, settings.length)
        return write_texts(original, beta, settings.sequences, settings.length, SEED, progress)

    corpus = kept(folder / f"corpus {_plain(name)}.npz", write)["ids"]
    learned = corpus[: -unseen(settings)]
    kept(folder / f"student {_plain(name)}.npz", lambda: train(settings, learned, progress))
    student = load_student(name, settings, folder, original)
    for beta in (1.0, -1.0):
        kept(
            folder / f"texts {_plain(name)} at {beta:+g}.npz",
            lambda beta=beta: write_texts(  # type: ignore[misc]
                student, beta, settings.samples, settings.sample_length, SEED + 1, progress
            ),
        )


def unseen(settings: Settings) -> int:
    """How many sequences of a corpus, its last ones, the student does not read."""
    return max(1, settings.sequences // 8)


def corpus_of(name: str, folder: Path) -> dict[str, np.ndarray]:
    """``ids`` (sequences, length), and ``entropy`` likewise where the demo model wrote them."""
    return _arrays(folder / f"corpus {_plain(name)}.npz")


def texts_of(name: str, beta: float, folder: Path) -> dict[str, np.ndarray]:
    """``ids`` and ``entropy`` (samples, sample_length) of what a student wrote at β."""
    return _arrays(folder / f"texts {_plain(name)} at {beta:+g}.npz")


def load_student(
    name: str, settings: Settings, folder: Path, original: LanguageModel
) -> LanguageModel:
    """A trained student, with the original's tokenizer."""
    import torch

    module = new_student(settings)
    weights = _arrays(folder / f"student {_plain(name)}.npz")
    module.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})
    return LanguageModel(module, original.tokenizer, name=f"student of {name}")


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _plain(name: str) -> str:
    return name.replace("−", "-").replace(" ", "")
