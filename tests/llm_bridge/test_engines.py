"""The adapters inside the real engines, on a tiny model whose distribution is known exactly.

Each engine has an environment of its own: ``make test-engines`` makes those and runs this file in
each. Tests of engines that are not installed are skipped. Fixed seeds; a right engine fails at
p < 5e-8 (`goodness_of_fit.P_LIMIT`), at most once in 10⁶ seeds for each of 25 tests.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from types import SimpleNamespace

import level_model
import numpy as np
import pytest
import torch
from goodness_of_fit import P_LIMIT, counts_p
from level_model import LEAST, MOST, VOCABULARY

from llm_bridge.decoding import Decoder, EveryNth, PerToken
from thermo.errors import InvalidInputError

pytestmark = pytest.mark.engines

INF = math.inf
BETAS = [-INF, -1.0, 0.0, 2.0]
every_beta = pytest.mark.parametrize("beta", BETAS)
DRAWS = 2000
PROMPT = [7, 8, 9]


def p_value(ids: np.ndarray, beta: float, valid: np.ndarray | None = None) -> float:
    ids = np.asarray(ids)
    assert ids.size >= DRAWS
    counts = np.bincount(ids.ravel(), minlength=VOCABULARY)
    return counts_p(counts, level_model.probabilities(beta, valid))


def is_every_third(ids: np.ndarray) -> bool:
    """Whether tokens 3, 6, … are the least likely and all others the likeliest."""
    ids = np.asarray(ids)
    turn = (np.arange(ids.shape[-1]) + 1) % 3 == 0
    return bool(np.isin(ids[..., turn], LEAST).all() and np.isin(ids[..., ~turn], MOST).all())


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return level_model.save(tmp_path_factory.mktemp("levels"))


# ------------------------------------------------------------------------------------------------
# llama-cpp-python


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory):
    llama_cpp = pytest.importorskip("llama_cpp")
    gguf = pytest.importorskip("gguf")
    path = tmp_path_factory.mktemp("gguf") / "levels.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(4096)
    writer.add_embedding_length(level_model.WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(level_model.WIDTH)
    writer.add_head_count(1)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([f"t{i}".encode() for i in range(VOCABULARY)])
    writer.add_token_scores([0.0] * VOCABULARY)
    writer.add_token_types([gguf.TokenType.NORMAL] * VOCABULARY)
    writer.add_bos_token_id(VOCABULARY)  # none: no such token is ever drawn
    writer.add_eos_token_id(VOCABULARY)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 1)
    for name, value in level_model.state().items():
        stem, _, suffix = name.rpartition(".")
        writer.add_tensor(f"{names.get_name(stem)}.{suffix}", value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return llama_cpp.Llama(str(path), n_ctx=4096, seed=20261121, verbose=False, n_threads=1)


def drawn_by_llama(llama, settings: dict, count: int) -> list[int]:
    """Tokens of ``Llama.generate``, which ``create_completion`` calls with the same arguments."""
    settings = dict(settings)
    settings["temp"] = settings.pop("temperature")
    tokens = llama.generate(PROMPT, **settings)
    return [token for token, _ in zip(tokens, range(count), strict=False)]


@every_beta
def test_llama_cpp(llama, beta: float) -> None:
    from llm_bridge.decoding.adapters.llama_cpp import SignedTemperature

    ids = drawn_by_llama(llama, SignedTemperature(beta).settings(), DRAWS)
    assert p_value(ids, beta) > P_LIMIT


def test_llama_cpp_schedule_and_mask(llama) -> None:
    from llm_bridge.decoding.adapters.llama_cpp import SignedTemperature

    processor = SignedTemperature(EveryNth(INF, -INF, 3))
    for _ in range(2):  # the same processor for two texts
        assert is_every_third(drawn_by_llama(llama, processor.settings(), 20))
    valid = np.arange(VOCABULARY) % 2 == 1
    processor = SignedTemperature(Decoder(-1.0, valid=valid))
    assert p_value(drawn_by_llama(llama, processor.settings(), DRAWS), -1.0, valid) > P_LIMIT


def test_llama_cpp_error_is_raised(llama) -> None:
    from llm_bridge.decoding.adapters.llama_cpp import SignedTemperature

    processor = SignedTemperature(Decoder(-1.0, valid=np.ones(3, dtype=bool)))
    with pytest.raises(InvalidInputError, match="valid"):
        drawn_by_llama(llama, processor.settings(), 3)


def test_llama_cpp_completion(llama) -> None:
    """The call that people make, whose text is made of the two least likely tokens."""
    from llm_bridge.decoding.adapters.llama_cpp import SignedTemperature

    settings = SignedTemperature(-INF).settings()
    text = llama(PROMPT, max_tokens=8, **settings)["choices"][0]["text"]
    assert set(text.split("t")) <= {"", "0", "1"}


def test_llama_cpp_at_negative_temperature_samples_at_one(llama) -> None:
    """What the engine makes of temperature = −1 without us."""
    settings = {"temperature": -1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
    ids = drawn_by_llama(llama, settings, DRAWS)
    assert p_value(ids, 1.0) > P_LIMIT
    assert p_value(ids, -1.0) < P_LIMIT


def test_llama_cpp_with_a_logit_bias(llama) -> None:
    """llama-cpp-python forgets every other processor then; that must not go unnoticed."""
    from llm_bridge.decoding.adapters.llama_cpp import SignedTemperature

    settings = SignedTemperature(-INF).settings()
    with pytest.raises(InvalidInputError, match="logit_bias"):
        llama(PROMPT, max_tokens=4, logit_bias={3: 0.0}, **settings)
    text = llama(PROMPT, max_tokens=4, **settings)["choices"][0]["text"]
    assert set(text.split("t")) <= {"", "0", "1"}


# ------------------------------------------------------------------------------------------------
# mlx-lm


@pytest.fixture(scope="session")
def mlx(folder: Path):
    mlx_lm = pytest.importorskip("mlx_lm")
    return mlx_lm.load(str(folder))


def drawn_by_mlx(mlx, settings: dict, count: int, seed: int = 20261121) -> list[int]:
    import mlx.core as mx
    from mlx_lm import stream_generate

    mx.random.seed(seed)
    return [r.token for r in stream_generate(*mlx, PROMPT, max_tokens=count, **settings)]


@every_beta
def test_mlx(mlx, beta: float) -> None:
    from llm_bridge.decoding.adapters.mlx import SignedTemperature

    assert p_value(drawn_by_mlx(mlx, SignedTemperature(beta).settings(), DRAWS), beta) > P_LIMIT


def test_mlx_schedule_and_mask(mlx) -> None:
    from llm_bridge.decoding.adapters.mlx import SignedTemperature

    processor = SignedTemperature(EveryNth(INF, -INF, 3))
    for _ in range(2):
        assert is_every_third(drawn_by_mlx(mlx, processor.settings(), 20))
    valid = np.arange(VOCABULARY) % 2 == 1
    processor = SignedTemperature(Decoder(-1.0, valid=valid))
    assert p_value(drawn_by_mlx(mlx, processor.settings(), DRAWS), -1.0, valid) > P_LIMIT


def test_mlx_batch(mlx) -> None:
    """Sequences of one batch, of different lengths, each with a processor of its own."""
    from mlx_lm.generate import BatchGenerator
    from mlx_lm.sample_utils import make_sampler

    from llm_bridge.decoding.adapters.mlx import SignedTemperature

    schedules = [EveryNth(INF, -INF, 3), PerToken([-INF, INF])]
    generator = BatchGenerator(mlx[0], sampler=make_sampler(temp=1.0))
    names = generator.insert(
        [PROMPT, PROMPT + PROMPT],
        [9, 4],
        logits_processors=[[SignedTemperature(schedule)] for schedule in schedules],
    )
    drawn: dict[int, list[int]] = {name: [] for name in names}
    while answers := generator.next_generated():
        for answer in answers:
            drawn[answer.uid].append(answer.token)
    generator.close()
    first, second = drawn.values()
    assert len(first) == 9
    assert is_every_third(first)
    assert len(second) == 4
    assert second[0] in LEAST
    assert np.isin(second[1:], MOST).all()


def test_mlx_batch_with_one_processor(mlx) -> None:
    """``batch_generate`` has one processor for all: a constant β works, a schedule is refused."""
    from mlx_lm import batch_generate

    from llm_bridge.decoding.adapters.mlx import SignedTemperature

    prompts = [PROMPT, PROMPT[:2]]
    more = {"max_tokens": 20, "return_token_ids": True}
    answer = batch_generate(*mlx, prompts, **SignedTemperature(-INF).settings(), **more)
    assert np.isin(answer.token_ids, LEAST).all()
    with pytest.raises(InvalidInputError, match="out of order"):
        batch_generate(*mlx, prompts, **SignedTemperature(PerToken([1.0])).settings(), **more)


def test_mlx_at_negative_temperature_inverts(mlx) -> None:
    """What the engine makes of temp = −1 without us: right, as long as nothing is masked."""
    from mlx_lm.sample_utils import make_logits_processors, make_sampler

    sampler = make_sampler(temp=-1.0)
    assert p_value(drawn_by_mlx(mlx, {"sampler": sampler}, DRAWS), -1.0) > P_LIMIT
    banned = make_logits_processors(logit_bias={5: -INF})
    ids = drawn_by_mlx(mlx, {"sampler": sampler, "logits_processors": banned}, 20)
    assert set(ids) == {5}


# ------------------------------------------------------------------------------------------------
# vLLM


@pytest.fixture(scope="session", params=["0", "1"], ids=["V1", "V2"])
def vllm(folder: Path, request: pytest.FixtureRequest):
    """An engine with either runner, in this process: a second one would need a second Python."""
    vllm = pytest.importorskip("vllm")
    if request.param == "1" and not torch.cuda.is_available():
        pytest.skip("the V2 runner needs Triton, and that a GPU")
    version = "vllm_v2" if request.param == "1" else "vllm_v1"
    os.environ |= {
        "VLLM_USE_V2_MODEL_RUNNER": request.param,
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
    }
    name = f"llm_bridge.decoding.adapters.{version}:SignedTemperature"
    return vllm.LLM(
        str(folder),
        dtype="float32",
        max_model_len=512,
        max_num_seqs=32,
        enforce_eager=True,
        logits_processors=[name],
        seed=20261121,
    )


def drawn_by_vllm(vllm, asked: list[dict]) -> list[list[int]]:
    from vllm import SamplingParams

    parameters = [SamplingParams(ignore_eos=True, detokenize=False, **a) for a in asked]
    prompts = [{"prompt_token_ids": PROMPT}] * len(parameters)
    answers = vllm.generate(prompts, parameters, use_tqdm=False)
    return [list(answer.outputs[0].token_ids) for answer in answers]


@every_beta
def test_vllm(vllm, beta: float) -> None:
    from llm_bridge.decoding.adapters.vllm_settings import VllmRequests

    asked = VllmRequests.settings(beta) | {"max_tokens": 50}
    assert p_value(drawn_by_vllm(vllm, [asked] * (DRAWS // 50)), beta) > P_LIMIT


def test_vllm_requests_side_by_side(vllm) -> None:
    """Many requests of different β and lengths, more than run at once: rows change places."""
    from llm_bridge.decoding.adapters.vllm_settings import VllmRequests

    thirds = [INF, INF, -INF] * 20
    asked = []
    for i in range(60):
        beta = (thirds, -INF, None)[i % 3]
        settings = {"temperature": 0.0} if beta is None else VllmRequests.settings(beta)
        asked.append(settings | {"max_tokens": 1 + i % 17})
    for i, ids in enumerate(drawn_by_vllm(vllm, asked)):
        assert len(ids) == 1 + i % 17
        if i % 3 == 0:
            assert is_every_third(ids)
        else:
            assert np.isin(ids, LEAST if i % 3 == 1 else MOST).all()


def test_vllm_masks_stay(vllm) -> None:
    from llm_bridge.decoding.adapters.vllm_settings import VllmRequests

    allowed = list(range(1, VOCABULARY, 2))
    valid = np.isin(np.arange(VOCABULARY), allowed)
    asked = VllmRequests.settings(-1.0) | {"max_tokens": 50, "allowed_token_ids": allowed}
    assert p_value(drawn_by_vllm(vllm, [asked] * (DRAWS // 50)), -1.0, valid) > P_LIMIT


def test_vllm_refuses_at_admission(vllm) -> None:
    from vllm.exceptions import VLLMValidationError

    from llm_bridge.decoding.adapters.vllm_settings import VllmRequests

    with pytest.raises(VLLMValidationError, match="top_k"):
        drawn_by_vllm(vllm, [VllmRequests.settings(-1.0) | {"top_k": 20}])
    with pytest.raises(VLLMValidationError, match="temperature must be"):
        drawn_by_vllm(vllm, [{"temperature": -1.0}])  # by itself, without us
    asked = VllmRequests.settings(-INF) | {"max_tokens": 3}
    assert np.isin(drawn_by_vllm(vllm, [asked]), LEAST).all()  # and the engine goes on


def test_vllm_v2_takes_the_class() -> None:
    """The V2 runner's own loader, checks and types, without the runner."""
    pytest.importorskip("vllm")
    from vllm import SamplingParams
    from vllm.exceptions import VLLMValidationError
    from vllm.v1.worker.gpu.sample import logits_processor as v2

    from llm_bridge.decoding.adapters.vllm_settings import VllmRequests

    names = ["llm_bridge.decoding.adapters.vllm_v2:SignedTemperature"]
    good = VllmRequests.settings([INF, -INF])
    validate = v2.build_custom_logits_processors_params_validator(names)
    validate(SamplingParams(**good))
    with pytest.raises(VLLMValidationError, match="top_p"):
        validate(SamplingParams(**good | {"top_p": 0.9}))
    slots = SimpleNamespace(
        device=torch.device("cpu"),
        max_num_reqs=2,
        vocab_size=VOCABULARY,
        all_token_ids=SimpleNamespace(gpu=torch.zeros((2, 8), dtype=torch.int32)),
        prompt_len=SimpleNamespace(np=np.full(2, 3, dtype=np.int32)),
        prefill_len=None,
        total_len=SimpleNamespace(gpu=torch.full((2,), 3, dtype=torch.int32)),
    )
    config = SimpleNamespace(speculative_config=None)
    (processor,) = v2.build_custom_logits_processors(config, slots, False, names)
    assert processor.add_request(1, SamplingParams(**good))
    processor.apply_staged_writes()
    rows = torch.zeros(1, dtype=torch.int32)
    context = v2.LogitsContext(
        expanded_idx_mapping=rows + 1,
        idx_mapping=rows + 1,
        idx_mapping_np=np.array([1]),
        expanded_local_pos=rows,
        input_ids=rows,
        pos=rows + 2,
        seq_lens_upper_bound_np=np.array([3]),
    )
    logits = torch.tensor(level_model.LOGITS, dtype=torch.float32)[None]
    for beta in (INF, -INF):
        out = processor.apply(logits.clone(), context)
        np.testing.assert_allclose(out[0].exp(), level_model.probabilities(beta))
        slots.total_len.gpu[1] += 1
