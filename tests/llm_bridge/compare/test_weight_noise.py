"""Weight noise beside softmax at the same temperature: identities, contrast, an unchanged model."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax
from small_comparison import POSITIONS, SEED

from llm_bridge.brownian import effective_temperature
from llm_bridge.compare import Comparison
from llm_bridge.logits import LogitRecord
from llm_bridge.model_side import noise_rows
from llm_bridge.models import LanguageModel


def test_noise_rows_fulfil_their_identities(comparison: Comparison, record: LogitRecord) -> None:
    scale = comparison.model_system.curve.scale
    z = record.logits[:, record.valid].astype(np.float64)
    z -= z.mean(axis=1, keepdims=True)
    for row in comparison.noise:
        fit = row.effective
        assert fit.residual_kl > -3 * fit.residual_kl_error
        assert fit.disagreement > 0
        assert fit.entropy_mean == pytest.approx(fit.aleatoric + fit.disagreement)
        # softmax at the fitted T has the mean distribution's energy ...
        log_p = log_softmax(fit.beta * z, axis=1)
        energy = -(np.exp(log_p) * z).sum(axis=1).mean() / scale
        assert float(row.energy.value) == pytest.approx(energy, abs=1e-8)
        # ... and an entropy that is larger by exactly the residual: with the bias of few draws
        # put back, because only raw numbers are of one distribution
        entropy = -(np.exp(log_p) * log_p).sum(axis=1).mean()
        assert float(row.softmax_entropy.value) == pytest.approx(entropy, rel=1e-9)
        raw_entropy = fit.entropy_mean + fit.finite_draw_bias["entropy_mean"]
        raw_residual = fit.residual_kl + fit.finite_draw_bias["residual_kl"]
        assert entropy - raw_entropy == pytest.approx(raw_residual, abs=1e-8)
        assert raw_residual >= 0
        assert float(row.entropy.value) == fit.entropy_mean
        assert row.occupation.fitted_b == pytest.approx(fit.beta * scale)


def test_more_noise_is_hotter_and_disagrees_more(comparison: Comparison) -> None:
    weak, strong = comparison.noise
    assert strong.effective.temperature > weak.effective.temperature > 1
    assert strong.effective.disagreement > weak.effective.disagreement


def test_softmax_temperature_neither_flips_nor_disagrees(record: LogitRecord) -> None:
    """What the JSON states as zeros is measured here with the same estimator."""
    warm = np.stack([record.logits / np.float32(1.6)] * 4)
    fit = effective_temperature(record.logits, warm, record.valid)
    assert fit.temperature == pytest.approx(1.6, rel=1e-6)
    assert fit.top1_flips == 0.0
    assert fit.disagreement == pytest.approx(0.0, abs=1e-9)
    assert fit.residual_kl == pytest.approx(0.0, abs=1e-9)


def test_the_contrast_row_states_zeros(found: dict[str, Any]) -> None:
    for row in found["weight_noise"]:
        contrast = row["softmax_at_same_temperature"]
        assert contrast["temperature"] == row["effective_temperature"]["temperature"]
        assert contrast["residual_kl"] == contrast["disagreement"] == contrast["top1_flips"] == 0


def test_the_model_is_left_as_it_was(model: LanguageModel, text: str, record: LogitRecord) -> None:
    before = {k: v.clone() for k, v in model.torch_module.state_dict().items()}
    ids = model.encode(text)[:POSITIONS]
    ticks: list[int] = []
    noise_rows(
        model, ids, record, scale=1.0, sigmas=(0.5,), draws=4, seed=SEED,
        tick=lambda: ticks.append(1),
    )  # fmt: skip
    after = model.torch_module.state_dict()
    assert before.keys() == after.keys()
    assert all(bool((before[k] == after[k]).all()) for k in before)
    assert not model.torch_module.training
    assert len(ticks) == 1


def test_the_model_s_files_are_left_as_they_were(
    comparison: Comparison, model_folder: Path
) -> None:
    (weights,) = model_folder.glob("*.safetensors")
    provenance = comparison.settings["provenance"]
    assert provenance["weights_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()


def test_noise_reads_only_as_many_positions_as_fit(
    model_folder: Path, record: LogitRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clean and noisy logits come from the same, shorter text: at tiny σ they agree."""
    from llm_bridge import model_side
    from llm_bridge.models import load_model

    model = load_model(model_folder)
    ids = model.encode("The temperature of a system says how its entropy grows. " * 8)[:90]
    clean = LogitRecord(model.logits(ids), ids, model.valid)
    monkeypatch.setattr(model_side, "_DRAW_BYTES", 4 * 4 * clean.logits.shape[1] * 70)
    (row,) = model_side.noise_rows(
        model, ids, clean, scale=1.0, sigmas=(1e-5,), draws=4, seed=0, tick=lambda: None
    )
    assert row.effective.positions == 70
    assert row.effective.residual_kl < 1e-6
    assert row.effective.top1_flips == 0
