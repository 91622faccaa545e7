"""The JSON document: strict, complete, the same for the same seed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from small_comparison import SEED, SIGMAS, SMALL

from llm_bridge.compare import Comparison, compare


def without_times(comparison: Comparison) -> dict[str, Any]:
    document = json.loads(comparison.to_json())
    assert document.pop("seconds")
    return document


def test_same_seed_same_document_another_seed_another(
    comparison: Comparison, model_folder: Path, text_file: Path
) -> None:
    first = without_times(comparison)
    again = without_times(compare(model=model_folder, text=text_file, seed=SEED, **SMALL))
    assert again == first
    other = without_times(compare(model=model_folder, text=text_file, seed=SEED + 1, **SMALL))
    assert other["systems"][0] == first["systems"][0]
    assert other["systems"][3] == first["systems"][3]  # reading a text is not random
    assert other["systems"][1]["curve"] != first["systems"][1]["curve"]
    for mine, theirs in zip(other["weight_noise"], first["weight_noise"], strict=True):
        assert mine["effective_temperature"]["beta"] != theirs["effective_temperature"]["beta"]


def test_json_is_strict_and_survives_a_round_trip(
    comparison: Comparison, found: dict[str, Any]
) -> None:
    assert found["schema"] == "spinlogit.compare/1"
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found == json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    comparison.to_json().encode("utf-8")


def test_infinities_are_strings_and_missing_numbers_null(found: dict[str, Any]) -> None:
    for system in found["systems"]:
        assert system["curve"]["beta"][0] == system["curve"]["b"][0] == "inf"
    assert found["systems"][0]["curve"]["beta"][-1] == "-inf"
    assert found["systems"][2]["curve"]["log_states"] == "inf"
    none = [
        entry
        for system in found["systems"]
        for entry in system["degrees_of_freedom"]
        if entry["value"] is None
    ]
    assert none
    assert all(entry["reason"] for entry in none)  # never a gap without a word


def test_json_says_how_it_was_made(found: dict[str, Any], model_folder: Path) -> None:
    settings = found["settings"]
    assert settings["model"] == model_folder.name
    assert settings["logits"] is None
    assert settings["text"] == "read me.txt"
    assert settings["sigmas"] == sorted(SIGMAS)
    for name in ("positions", "draws", "lattice_size", "sweeps"):
        assert settings[name] == SMALL[name]
    assert settings["seed"] == SEED
    assert {"python", "numpy", "numba", "torch", "machine"} <= found["versions"].keys()
    hashes = [v for k, v in settings["provenance"].items() if k.endswith("sha256")]
    assert len(hashes) == 3
    assert all(re.fullmatch("[0-9a-f]{64}", h) for h in hashes)
