"""Long runs in the laboratory: the same bits, however they are cut, spread or interrupted."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from thermo import Ising
from thermo.errors import CheckpointError, InvalidInputError
from thermo.laboratory.trajectories import Motion, follow
from thermo.lattice import chain


class Walk:
    """Two random walkers; after each step they say where they are."""

    def __init__(self, seed: np.random.SeedSequence, break_after: int) -> None:
        self.generator = np.random.Generator(np.random.PCG64(seed))
        self.place = np.zeros(2)
        self.left = break_after

    def advance(self, steps: int) -> dict[str, np.ndarray]:
        seen = np.empty((2, steps))
        for step in range(steps):
            self.place = self.place + self.generator.normal(size=2)
            seen[:, step] = self.place
        self.left -= steps
        if self.left < 0:
            raise KeyboardInterrupt
        return {"place": seen}

    def state(self) -> dict[str, np.ndarray]:
        now = json.dumps(self.generator.bit_generator.state)
        return {"place": self.place.copy(), "generator": np.array(now)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self.place = state["place"].copy()
        self.generator.bit_generator.state = json.loads(str(state["generator"]))


@dataclass(frozen=True, eq=False)
class Walks(Motion):
    length: int = 5000
    of: Ising = field(default_factory=lambda: Ising(chain(4)))

    break_after = 10**9  # of the class, for no bits depend on it

    @property
    def pieces(self) -> int:
        return 3

    @property
    def steps(self) -> int:
        return self.length

    @property
    def moves_per_step(self) -> int:
        return 2

    @property
    def bytes_per_step(self) -> int:
        return 16

    def begin(self, piece: int, seed: np.random.SeedSequence) -> Walk:
        return Walk(seed, self.break_after)


def test_every_piece_has_random_numbers_of_its_own() -> None:
    place = follow(Walks(), seed=1)["place"]
    assert place.shape == (6, 5000)
    steps = np.diff(place, axis=1)
    largest = np.abs(np.corrcoef(steps) - np.eye(6)).max()
    assert largest < 5.0 / np.sqrt(5000)  # 15 pairs at 5 σ: one in 10⁵


def test_same_bits_for_threads_executors_and_pieces_of_the_way() -> None:
    whole = follow(Walks(), seed=1, threads=1)["place"]
    assert (follow(Walks(), seed=1, threads=2)["place"] == whole).all()
    assert (follow(Walks(3000), seed=1)["place"] == whole[:, :3000]).all()
    with ProcessPoolExecutor(1) as pool:
        assert (follow(Walks(), seed=1, executor=pool)["place"] == whole).all()
    assert not (follow(Walks(), seed=2)["place"] == whole).any()


def test_what_was_interrupted_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = follow(Walks(), seed=1)["place"]
    monkeypatch.setattr(Walks, "break_after", 3000)
    with pytest.raises(KeyboardInterrupt):
        follow(Walks(), seed=1, threads=1, checkpoint=tmp_path / "kept")
    assert list((tmp_path / "kept").glob("*.state"))
    monkeypatch.setattr(Walks, "break_after", 4999)  # less than all of it
    again = follow(Walks(), seed=1, threads=1, checkpoint=tmp_path / "kept")["place"]
    assert (again == whole).all()
    with pytest.raises(CheckpointError, match="of another run"):
        follow(Walks(5001), seed=1, checkpoint=tmp_path / "kept")


def test_what_does_not_fit_into_memory_is_refused_at_once() -> None:
    with pytest.raises(InvalidInputError, match="of memory"):
        follow(Walks(10**13), seed=1)


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"seed": 1, "threads": 0}])
def test_bad_input(wrong: dict[str, int]) -> None:
    with pytest.raises(InvalidInputError, match="accepted"):
        follow(Walks(), **wrong)
