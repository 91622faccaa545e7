"""Train the demo model from the text of the running Python's standard library."""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn

from llm_bridge.demo_model.architecture import build_model, configuration
from llm_bridge.demo_model.batches import Batches
from llm_bridge.demo_model.checkpoint import Checkpoint
from llm_bridge.demo_model.corpus import Corpus, read_corpus, wider_texts
from llm_bridge.demo_model.dropout import add_dropout, step_generator
from llm_bridge.demo_model.evaluation import evaluate
from llm_bridge.demo_model.interruption import Interruption
from llm_bridge.demo_model.optimizers import build_optimizers, rate_factor, set_rates
from llm_bridge.demo_model.publication import publish
from llm_bridge.demo_model.tokenizer import encode_documents, train_tokenizer
from thermo.errors import InvalidInputError, NotConvergedError
from thermo.run.progress_bar import progress_bar

__all__ = ["Recipe", "train_demo_model"]

SAVE_EVERY = 300.0  # seconds between checkpoints; when they are taken changes no result


@dataclass(frozen=True)
class Recipe:
    """Sizes and rates of a training run.

    Attributes
    ----------
    vocabulary_size, width, layers, heads, feed_forward, context : int
        The model, see `architecture.configuration`.
    batch : int
        Windows of `context` tokens per step.
    matrix_rate, table_rate, decay : float
        The optimisers, see `optimizers.build_optimizers`.
    dropout : float
        Share of activations dropped, see `dropout.add_dropout`.
    warm_up : float
        Share of the budget during which the rate rises; then it falls linearly to zero.
    evaluate_every : int
        Steps between measurements of the held-out loss.
    """

    vocabulary_size: int = 4096
    width: int = 256
    layers: int = 4
    heads: int = 4
    feed_forward: int = 704
    context: int = 512
    batch: int = 16
    matrix_rate: float = 0.02
    table_rate: float = 3e-3
    decay: float = 2e-3
    dropout: float = 0.1
    warm_up: float = 0.02
    evaluate_every: int = 250


def train_demo_model(
    output: str | Path,
    *,
    seed: int = 0,
    minutes: float | None = None,
    steps: int | None = None,
    checkpoint: str | Path | None = None,
    recipe: Recipe | None = None,
    device: str = "auto",
    compiled: bool = False,
    corpus: Corpus | None = None,
    wider: Sequence[str] | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Train the demo model and write it as a Hugging Face directory.

    The loss is the mean of −ln p(next token) over windows of the training documents; the rate
    rises, then falls linearly to zero where the budget ends. The held-out loss is measured on the
    way and the best weights are kept.

    Parameters
    ----------
    output : path
        Folder to write: weights in float16, tokenizer, ``metadata.json``, ``held_out.txt``.
    seed : int
        Decides initial weights and the order of the text; 0 or more.
    minutes, steps : float, int, optional
        The budget: one of the two, 60 minutes by default. With `steps` the result is the same
        whatever the machine's load and whether or not the run was interrupted; with `minutes` the
        rate follows the clock.
    checkpoint : path, optional
        File from which the run goes on if it exists, and to which it is saved every five minutes
        and on Ctrl-C.
    recipe : Recipe, optional
        Sizes and rates.
    device : {"auto", "cpu", "cuda"}
        "auto" takes a CUDA device if there is one.
    compiled : bool
        Use ``torch.compile``: about a third faster, needs a C++ compiler.
    corpus, wider : Corpus, sequence of str, optional
        Text other than the standard library's, and the tokenizer's additional text.
    overwrite : bool
        Replace an existing `output`, as a whole and at the end.
    progress : bool
        Show a progress bar on standard error.

    Returns
    -------
    dict
        The metadata that is also written to ``metadata.json``.

    Raises
    ------
    InvalidInputError
        An argument is out of range, `output` exists or cannot be written, or `checkpoint` belongs
        to another run.
    NotConvergedError
        The loss stopped being a finite number.
    KeyboardInterrupt
        Ctrl-C, after the checkpoint was saved.
    """
    recipe = recipe or Recipe()
    if minutes is None and steps is None:
        minutes = 60.0
    _check(seed, minutes, steps, recipe)
    place = _device(device)
    output = Path(output)
    path = Path(checkpoint) if checkpoint is not None else None
    if path is not None:
        _check_checkpoint(path)
    staging = _staging_folder(output, overwrite)
    try:
        if corpus is None:
            corpus = read_corpus()
            wider = wider_texts() if wider is None else wider
        run = _Run(recipe, seed, minutes, steps, corpus, list(wider or []), place, compiled)
        if path is not None and path.exists():
            run.resume(Checkpoint.load(path))
        run.train(path, progress)
        metadata = publish(
            staging, build_model(run.config, seed), run.best, run.tokenizer, corpus, run.record()
        )
        if output.exists():
            shutil.rmtree(output)
        staging.rename(output)
        return metadata
    finally:
        shutil.rmtree(staging, ignore_errors=True)


class _Run:
    """A training run: what it is made of, how it goes on, what is remembered of it."""

    def __init__(
        self,
        recipe: Recipe,
        seed: int,
        minutes: float | None,
        steps: int | None,
        corpus: Corpus,
        wider: list[str],
        device: torch.device,
        compiled: bool,
    ) -> None:
        self.recipe, self.seed, self.minutes, self.budget = recipe, seed, minutes, steps
        self.corpus, self.device, self.compiled = corpus, device, compiled
        training = [document.text for document in corpus.training]
        self.tokenizer: Tokenizer = train_tokenizer([*training, *wider], recipe.vocabulary_size)
        self.vocabulary_size = self.tokenizer.get_vocab_size()
        self.batches = Batches(
            encode_documents(self.tokenizer, training),
            context=recipe.context,
            batch=recipe.batch,
            seed=seed,
        )
        if self.batches.steps_per_epoch < 1:
            raise InvalidInputError(
                f"the training text has {self.batches.tokens} tokens, fewer than one step of "
                f"{recipe.batch} windows of {recipe.context} tokens; give more text or a smaller "
                "batch."
            )
        self.held_out = encode_documents(self.tokenizer, [d.text for d in corpus.held_out])
        self.size = [len(d.text.encode()) for d in corpus.held_out]
        self.config = configuration(
            self.vocabulary_size,
            width=recipe.width,
            layers=recipe.layers,
            heads=recipe.heads,
            feed_forward=recipe.feed_forward,
            context=recipe.context,
        )
        self.model = build_model(self.config, seed).to(device)
        self.model.train()
        add_dropout(self.model, recipe.dropout)
        self.optimizers = build_optimizers(
            self.model,
            matrix_rate=recipe.matrix_rate,
            table_rate=recipe.table_rate,
            decay=recipe.decay,
        )
        self.step, self.seconds = 0, 0.0
        self.curve: list[dict[str, float]] = []
        self.best: dict[str, torch.Tensor] = {}
        self.best_loss, self.best_step = math.inf, 0
        self._losses: list[float] = []

    def train(self, path: Path | None, progress: bool) -> None:
        """Steps until the budget is spent; the best weights are then in `best`."""
        loss_of = torch.compile(self._loss) if self.compiled else self._loss
        begun, spent = time.monotonic(), self.seconds
        saved = begun
        total = self.budget if self.minutes is None else None
        with (
            Interruption() as interruption,
            progress_bar(progress, total, unit="step", what="training", done=self.step) as bar,
        ):
            while (done := self._done()) < 1.0:
                self._advance(loss_of, done)
                self.seconds = spent + time.monotonic() - begun
                if self.step % self.recipe.evaluate_every == 0:
                    self._measure()
                    self.seconds = spent + time.monotonic() - begun
                bar.set_postfix(self._progress(), refresh=False)
                bar.update()
                if path is not None and (
                    interruption.asked or time.monotonic() - saved > SAVE_EVERY
                ):
                    self._checkpoint().save(path)
                    saved = time.monotonic()
                if interruption.asked:
                    raise KeyboardInterrupt
            if not self.curve or self.curve[-1]["step"] != self.step:
                self._measure()
            if path is not None:
                self._checkpoint().save(path)

    def _progress(self) -> dict[str, str]:
        """What the progress bar says: losses in nats per token."""
        said = {"done": f"{min(100.0, 100 * self._done()):.0f}%"}
        if self._losses:
            said["loss"] = f"{self._losses[-1]:.2f}"
        if self.curve:
            said["held-out"] = f"{self.curve[-1]['held_out_nats_per_token']:.3f}"
        return said

    def _done(self) -> float:
        """Share of the budget that is spent."""
        if self.minutes is not None:
            return self.seconds / (60.0 * self.minutes)
        assert self.budget is not None
        return self.step / self.budget

    def _advance(self, loss_of: Callable[[torch.Tensor], torch.Tensor], done: float) -> None:
        tokens = torch.from_numpy(self.batches.at(self.step)).to(self.device, torch.int64)
        with step_generator(self.seed, self.step, self.device):
            loss = loss_of(tokens)
        loss.backward()
        value = loss.item()
        if not math.isfinite(value):
            raise NotConvergedError(
                f"the training loss became {value} at step {self.step}; lower matrix_rate "
                f"({self.recipe.matrix_rate:g}) or table_rate ({self.recipe.table_rate:g})."
            )
        # A first step of rate zero would be wasted: the rate is that at the middle of the step.
        ahead = done + 0.5 / self.budget if self.budget else max(done, 1e-3)
        set_rates(self.optimizers, rate_factor(ahead, self.recipe.warm_up))
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self._losses.append(value)
        self.step += 1

    def _loss(self, tokens: torch.Tensor) -> torch.Tensor:
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            logits = self.model(input_ids=tokens[:, :-1], use_cache=False).logits
        return nn.functional.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten())

    def _measure(self) -> None:
        """Measure the held-out loss, extend the curve, keep the weights if they are the best."""
        loss = evaluate(
            self.model,
            self.held_out,
            self.size,
            context=self.recipe.context,
            mixed_precision=True,
        )
        self.curve.append(
            {
                "step": self.step,
                "seconds": round(self.seconds, 1),
                "training_nats_per_token": sum(self._losses) / max(1, len(self._losses)),
                "held_out_nats_per_token": loss.nats_per_token.value,
                "held_out_bits_per_byte": loss.bits_per_byte.value,
            }
        )
        self._losses = []
        if loss.nats_per_token.value < self.best_loss:
            self.best_loss, self.best_step = loss.nats_per_token.value, self.step
            self.best = {k: v.detach().cpu().clone() for k, v in self.model.state_dict().items()}

    def _identity(self) -> dict[str, Any]:
        """What two halves of one run have in common."""
        return {
            "seed": self.seed,
            "minutes": self.minutes,
            "steps": self.budget,
            "recipe": asdict(self.recipe),
            "corpus_sha256": self.corpus.sha256,
        }

    def _checkpoint(self) -> Checkpoint:
        state = {
            "identity": self._identity(),
            "step": self.step,
            "seconds": self.seconds,
            "curve": self.curve,
            "losses": self._losses,
            "best_loss": self.best_loss if self.best else None,
            "best_step": self.best_step,
        }
        return Checkpoint.take(
            state, self.tokenizer.to_str(), self.model, self.best, self.optimizers
        )

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of this very run."""
        state, mine = checkpoint.state, self._identity()
        if state["identity"] != mine or checkpoint.tokenizer != self.tokenizer.to_str():
            changed = [k for k, v in mine.items() if state["identity"].get(k) != v]
            raise InvalidInputError(
                f"the checkpoint belongs to another run (different {', '.join(changed) or 'text'});"
                " repeat that run's arguments, or give another checkpoint path."
            )
        checkpoint.restore(self.model, self.optimizers)
        self.step, self.seconds = state["step"], state["seconds"]
        self.curve, self._losses = state["curve"], state["losses"]
        self.best, self.best_step = checkpoint.part("best"), state["best_step"]
        self.best_loss = state["best_loss"] if self.best else math.inf

    def record(self) -> dict[str, Any]:
        """What the metadata says about the training."""
        return {
            "seed": self.seed,
            "recipe": asdict(self.recipe),
            "budget": {"minutes": self.minutes, "steps": self.budget},
            "steps_taken": self.step,
            "best_step": self.best_step,
            "tokens_seen": self.step * self.recipe.batch * self.recipe.context,
            "epochs": round(self.step / self.batches.steps_per_epoch, 3),
            "seconds": round(self.seconds, 1),
            "device": self.device.type,
            "compiled": self.compiled,
            "curve": self.curve,
        }


def _check(seed: int, minutes: float | None, steps: int | None, recipe: Recipe) -> None:
    if minutes is not None and steps is not None:
        raise InvalidInputError("both minutes and steps were given; give one of them.")
    if minutes is not None and not (math.isfinite(minutes) and minutes > 0):
        raise InvalidInputError(f"minutes = {minutes} was given; a positive number is accepted.")
    if steps is not None and (steps != int(steps) or steps < 1):
        raise InvalidInputError(f"steps = {steps} was given; an integer of 1 or more is accepted.")
    if seed != int(seed) or seed < 0:
        raise InvalidInputError(f"seed = {seed} was given; an integer of 0 or more is accepted.")
    for name, value in asdict(recipe).items():
        if not (math.isfinite(value) and value > 0) and name not in ("decay", "dropout"):
            raise InvalidInputError(f"{name} = {value} was given; it must be positive.")
    if not (0 <= recipe.decay < 1 and 0 <= recipe.dropout < 1 and recipe.warm_up < 1):
        raise InvalidInputError(
            f"decay = {recipe.decay}, dropout = {recipe.dropout} and warm_up = {recipe.warm_up} "
            "were given; each must be a number from 0 to below 1, and warm_up above 0."
        )
    if recipe.vocabulary_size < 257:
        raise InvalidInputError(
            f"vocabulary_size = {recipe.vocabulary_size} was given; 257 or more is accepted "
            "(every byte and the end of text)."
        )
    if recipe.width % recipe.heads or (recipe.width // recipe.heads) % 2:
        raise InvalidInputError(
            f"width = {recipe.width} and heads = {recipe.heads} were given; width must be an even "
            "multiple of heads."
        )


def _device(name: str) -> torch.device:
    if name not in ("auto", "cpu", "cuda"):
        raise InvalidInputError(f"device = {name!r} was given; auto, cpu and cuda are accepted.")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InvalidInputError("device = 'cuda' was given, but torch finds no CUDA device.")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def _check_checkpoint(path: Path) -> None:
    """A checkpoint that cannot be written must not be found out after an hour of training."""
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-"):
            pass
    except OSError as error:
        raise InvalidInputError(
            f"the checkpoint {str(path)!r} cannot be written ({error.strerror}); name a file in a "
            "folder that can be written to."
        ) from error


def _staging_folder(output: Path, overwrite: bool) -> Path:
    """A new folder beside `output`, made before any work so that a bad path fails at once."""
    if output.exists() and not overwrite:
        raise InvalidInputError(f"{str(output)!r} exists; give another folder.")
    if output.exists() and not (output / "metadata.json").is_file():
        raise InvalidInputError(
            f"{str(output)!r} exists and holds no demo model; it will not be overwritten."
        )
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
        folder.chmod(0o755)  # a temporary folder is its owner's alone; the result is not
        return folder
    except OSError as error:
        raise InvalidInputError(
            f"{str(output)!r} cannot be written ({error.strerror}); give another folder."
        ) from None
