"""The adapters called as vLLM, SGLang, llama-cpp-python and mlx-lm document that they call them.

The engines are not installed where these run: small stand-ins have the names that the adapters
import. test_engines.py runs the same adapters inside the real ones.
"""

from __future__ import annotations

import importlib
import math
import pickle
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from llm_bridge.decoding import Decoder, EveryNth, PerToken, TopK
from llm_bridge.decoding.adapters.llama_cpp import SignedTemperature as LlamaCpp
from llm_bridge.decoding.adapters.mlx import SignedTemperature as Mlx
from llm_bridge.decoding.adapters.request import request_decoder
from llm_bridge.decoding.adapters.vllm_settings import VllmRequests
from thermo.errors import InvalidInputError

INF = math.inf
ROW = [2.0, 1.0, -INF, 0.0]
AT_MINUS_ONE = torch.tensor([-2.0, -1.0, -INF, 0.0]).log_softmax(-1)
AT_PLUS_ONE = torch.tensor(ROW).log_softmax(-1)
EITHER = {1.0: AT_PLUS_ONE, -1.0: AT_MINUS_ONE}


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **content: object) -> None:
    """Put a module with this content, and the packages above it, where imports look."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        package = ".".join(parts[:end])
        if package not in sys.modules:
            monkeypatch.setitem(sys.modules, package, ModuleType(package))
    for key, value in content.items():
        setattr(sys.modules[name], key, value)


def adapter(monkeypatch: pytest.MonkeyPatch, name: str):
    """The adapter's class, imported anew upon the stand-ins and forgotten afterwards."""
    module = f"llm_bridge.decoding.adapters.{name}"
    monkeypatch.delitem(sys.modules, module, raising=False)
    loaded = importlib.import_module(module)
    monkeypatch.setitem(sys.modules, module, loaded)
    return loaded.SignedTemperature


def params(extra_args: dict | None, **more: object) -> SimpleNamespace:
    """vLLM's SamplingParams, with its defaults."""
    defaults = {
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 1.0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "frequency_penalty": 0.0,
        "presence_penalty": 0.0,
        "seed": None,
    }
    return SimpleNamespace(extra_args=extra_args, **(defaults | more))


# ------------------------------------------------------------------------------------------------
# requests


@pytest.mark.parametrize(
    ("arguments", "schedule"),
    [
        (None, None),
        ({}, None),
        ({"beta": None, "other": 1}, None),
        ({"beta": -2}, -2.0),
        ({"beta": "-inf"}, -INF),
        ({"beta": "1e3"}, 1000.0),
        ({"beta": [1, "-inf"]}, (1.0, -INF)),
    ],
)
def test_request(arguments, schedule) -> None:
    decoder = request_decoder(arguments)
    if schedule is None:
        assert decoder is None
    elif isinstance(schedule, tuple):
        assert decoder.schedule == PerToken(schedule)
    else:
        assert decoder.constant_beta == schedule


@pytest.mark.parametrize(
    "beta", ["cold", math.nan, "nan", [], [1, None], {}, True, [[1.0]], 10**400]
)
def test_bad_request(beta) -> None:
    with pytest.raises(InvalidInputError):
        request_decoder({"beta": beta})
    with pytest.raises(InvalidInputError):
        VllmRequests.settings(beta)


def test_settings_without_beta_are_refused(sglang) -> None:
    """A request without β is left alone by the server: nobody asks for that by settings."""
    for requests in (VllmRequests, sglang):
        with pytest.raises(InvalidInputError, match=r"None was given; accepted: a number"):
            requests.settings(None)


# ------------------------------------------------------------------------------------------------
# vLLM


@pytest.fixture
def vllm_v1(monkeypatch: pytest.MonkeyPatch):
    name = "vllm.v1.sample.logits_processor"
    stand_in(monkeypatch, name, AdapterLogitsProcessor=type("AdapterLogitsProcessor", (), {}))
    return adapter(monkeypatch, "vllm_v1")


@pytest.fixture
def vllm_v2(monkeypatch: pytest.MonkeyPatch):
    name = "vllm.v1.worker.gpu.sample.logits_processor"
    stand_in(monkeypatch, name, LogitsProcessor=type("LogitsProcessor", (), {}))
    return adapter(monkeypatch, "vllm_v2")


def test_vllm_v1(vllm_v1) -> None:
    processor = vllm_v1()
    assert processor.is_argmax_invariant() is False
    assert processor.new_req_logits_processor(params(None)) is None
    assert processor.new_req_logits_processor(params({"mine": 1})) is None
    request = processor.new_req_logits_processor(params(vllm_v1.settings(-1.0)["extra_args"]))
    logits = torch.tensor(ROW)
    torch.testing.assert_close(request([], logits), AT_MINUS_ONE)
    torch.testing.assert_close(request([5, 5, 5], logits), AT_MINUS_ONE)
    assert logits.tolist() == ROW


def test_vllm_v1_requests_side_by_side(vllm_v1) -> None:
    """vLLM hands each request the list of its tokens, which grows; one is set aside for a while."""
    processor = vllm_v1()
    lists = [1.0, -1.0, 1.0], [-1.0, -1.0, 1.0]
    requests = [processor.new_req_logits_processor(params({"beta": betas})) for betas in lists]
    tokens: list[list[int]] = [[], []]
    for place in range(3):
        for request, generated, betas in zip(requests, tokens, lists, strict=True):
            for _ in range(2):  # asked twice, as for a chunk of a prompt
                out = request(generated, torch.tensor(ROW))
                torch.testing.assert_close(out, EITHER[betas[place]])
            generated.append(place)
    resumed = processor.new_req_logits_processor(params({"beta": lists[0]}))
    torch.testing.assert_close(resumed([7], torch.tensor(ROW)), AT_MINUS_ONE)
    torch.testing.assert_close(resumed([7, 8], torch.tensor(ROW)), AT_PLUS_ONE)


def test_vllm_v1_tokens_in_leaps(vllm_v1) -> None:
    """Only a request that was never asked about may begin with several tokens."""
    request = vllm_v1().new_req_logits_processor(params({"beta": [1.0, -1.0]}))
    request([], torch.tensor(ROW))
    with pytest.raises(InvalidInputError, match="out of order"):
        request([7, 8], torch.tensor(ROW))


class RequestStates(SimpleNamespace):
    """The buffers of the V2 runner: prompts of two tokens in all of its slots."""

    def __init__(self, slots: int) -> None:
        ids = torch.full((slots, 10), 9)
        super().__init__(
            all_token_ids=SimpleNamespace(gpu=ids),
            prompt_len=SimpleNamespace(np=np.full(slots, 2)),
            total_len=SimpleNamespace(gpu=torch.full((slots,), 2)),
        )

    def append(self, slot: int, token: int) -> None:
        self.all_token_ids.gpu[slot, self.total_len.gpu[slot]] = token
        self.total_len.gpu[slot] += 1


def test_vllm_v2(vllm_v2) -> None:
    states = RequestStates(4)
    processor = vllm_v2(SimpleNamespace(speculative_config=None), states)
    assert processor.add_request(3, params({"beta": [1.0, -1.0]})) is True
    assert processor.add_request(0, params(None)) is False
    assert processor.add_request(2, params({"beta": -1.0})) is True
    expected = {
        3: [AT_PLUS_ONE, AT_MINUS_ONE, AT_MINUS_ONE],
        0: [torch.tensor(ROW)] * 3,
        2: [AT_MINUS_ONE] * 3,
    }
    for place, order in enumerate(([3, 0, 2], [2, 3, 0], [0, 2, 3])):
        context = SimpleNamespace(expanded_idx_mapping=torch.tensor(order))
        out = processor.apply(torch.tensor([ROW] * 3), context)
        for row, slot in enumerate(order):
            torch.testing.assert_close(out[row], expected[slot][place])
            states.append(slot, place)
    assert processor.add_request(3, params(None)) is False  # the slot's next request
    out = processor.apply(
        torch.tensor([ROW]), SimpleNamespace(expanded_idx_mapping=torch.tensor([3]))
    )
    assert out.tolist() == [ROW]


@pytest.mark.parametrize("seed", [None, 0, -1, -5, -(2**63), 2**63 - 1])
def test_vllm_takes_every_seed_of_64_bits(vllm_v1, vllm_v2, seed: int | None) -> None:
    """What vLLM admits must not fail in its worker, where it would end every request."""
    request = params({"beta": -1.0}, seed=seed)
    vllm_v1.validate_params(request)
    assert vllm_v1.seed(request) == (0 if seed is None else seed % 2**64)
    process = vllm_v1().new_req_logits_processor(request)
    torch.testing.assert_close(process([], torch.tensor(ROW)), AT_MINUS_ONE)
    assert vllm_v2(SimpleNamespace(speculative_config=None), RequestStates(1)).add_request(
        0, request
    )


def test_vllm_v2_refuses_drafts(vllm_v2) -> None:
    with pytest.raises(InvalidInputError, match="speculative"):
        vllm_v2(SimpleNamespace(speculative_config=object()), RequestStates(1))


@pytest.mark.parametrize("runner", ["vllm_v1", "vllm_v2"])
def test_vllm_refuses_a_request_it_would_spoil(runner: str, request) -> None:
    processor = request.getfixturevalue(runner)
    good = processor.settings(-1.0)
    processor.validate_params(params(**good))
    processor.validate_params(params(None, temperature=0.7, top_k=20))  # none of ours
    for name, value in (("temperature", 0.0), ("top_k", 20), ("top_p", 0.9), ("min_p", 0.1)):
        with pytest.raises(ValueError, match=name):
            processor.validate_params(params(**good | {name: value}))
    with pytest.raises(ValueError, match="beta"):
        processor.validate_params(params({"beta": "cold"}))
    penalised = params(**good, repetition_penalty=1.1)
    if runner == "vllm_v1":  # there penalties act on what we return
        with pytest.raises(ValueError, match="repetition_penalty"):
            processor.validate_params(penalised)
    else:
        processor.validate_params(penalised)


def test_vllm_subclass_with_a_schedule(vllm_v1) -> None:
    class Mine(vllm_v1):
        @classmethod
        def decoder(cls, arguments):
            return Decoder(EveryNth(1.0, -1.0, 2), TopK(1, acts_on="model"))

    request = Mine().new_req_logits_processor(params(None))
    assert request([], torch.tensor(ROW)).tolist() == [0.0, -INF, -INF, -INF]


# ------------------------------------------------------------------------------------------------
# SGLang


class SerialProcessor:
    """As SGLang's base class: the class travels as text, and is made anew for every batch."""

    @classmethod
    def to_str(cls) -> str:
        return pickle.dumps(cls).hex()


@pytest.fixture
def sglang(monkeypatch: pytest.MonkeyPatch):
    name = "sglang.srt.sampling.custom_logit_processor"
    stand_in(monkeypatch, name, CustomLogitProcessor=SerialProcessor)
    return adapter(monkeypatch, "sglang")


def test_sglang(sglang) -> None:
    text = sglang.to_str()
    requests = [SimpleNamespace(output_ids=[]) for _ in range(3)]
    asked = [{"beta": -1.0}, {}, {"beta": [1.0, -1.0]}]
    arguments = [a | {"__req__": r} for a, r in zip(asked, requests, strict=True)]
    expected = [
        [AT_MINUS_ONE] * 3,
        [torch.tensor(ROW)] * 3,
        [AT_PLUS_ONE, AT_MINUS_ONE, AT_MINUS_ONE],
    ]
    for place, order in enumerate(([0, 1, 2], [2, 0, 1], [1, 2])):
        processor = pickle.loads(bytes.fromhex(text))()
        logits = torch.tensor([ROW] * len(order))
        out = processor(logits, [arguments[i] for i in order])
        assert logits.tolist() == [ROW] * len(order)
        for row, i in enumerate(order):
            torch.testing.assert_close(out[row], expected[i][place])
            requests[i].output_ids.append(place)


def test_sglang_without_parameters(sglang) -> None:
    logits = torch.tensor([ROW])
    assert sglang()(logits, None).tolist() == [ROW]
    assert sglang()(logits, [None]).tolist() == [ROW]
    assert sglang.settings("-inf")["custom_params"] == {"beta": "-inf"}
    with pytest.raises(InvalidInputError):
        sglang.settings(math.nan)


# ------------------------------------------------------------------------------------------------
# llama-cpp-python and mlx-lm


def view_of_logits() -> np.ndarray:
    """The logits as llama-cpp-python shows them: a column of records in C memory."""
    records = np.zeros(4, dtype=[("id", np.intc), ("logit", np.single), ("p", np.single)])
    records["logit"] = ROW
    return records.view(np.recarray).logit


def test_llama_cpp() -> None:
    processor = LlamaCpp(EveryNth(1.0, -1.0, 2))
    scores = view_of_logits()
    for ids, expected in (([5], AT_PLUS_ONE), ([5, 1], AT_MINUS_ONE), ([5, 1, 0], AT_PLUS_ONE)):
        out = processor(np.array(ids, dtype=np.intc), scores)
        assert out.dtype == np.single
        np.testing.assert_allclose(out, expected.numpy(), rtol=1e-6)
        assert processor.check(np.array(ids), out) is False
    assert scores.tolist() == ROW


def test_llama_cpp_text_after_text() -> None:
    """A prompt that begins with the last one: refused, or a new text after settings or reset."""
    processor = LlamaCpp(EveryNth(1.0, -1.0, 2))

    def ask(*ids: int) -> np.ndarray:
        return processor(np.array(ids, dtype=np.intc), view_of_logits())

    for again in ([5], [5, 1], [5, 1, 2], [5, 1, 2, 3]):
        for begin in (processor.settings, processor.reset):
            ask(5)
            np.testing.assert_allclose(ask(5, 1), AT_MINUS_ONE.numpy(), rtol=1e-6)
            begin()
            np.testing.assert_allclose(ask(*again), AT_PLUS_ONE.numpy(), rtol=1e-6)
            begin()
    ask(5)
    ask(5, 1)
    for drafted in ([5, 1], [5, 1, 2, 3]):  # as beside a draft model
        with pytest.raises(InvalidInputError, match=r"reset\(\)"):
            ask(*drafted)


def test_llama_cpp_keeps_errors_for_the_check() -> None:
    """What is raised under C code vanishes, so that the next call of Python's raises it."""
    processor = LlamaCpp(-1.0)
    settings = processor.settings()
    ids = np.array([5], dtype=np.intc)
    with pytest.raises(InvalidInputError, match="nan"):
        settings["logits_processor"][0](ids, np.array([0.0, np.nan], dtype=np.single))
    with pytest.raises(InvalidInputError, match="nan"):
        settings["stopping_criteria"](ids, ids)
    settings["logits_processor"][0](ids, np.array([0.0, 1.0], dtype=np.single))
    assert settings["stopping_criteria"](ids, ids) is False
    settings = processor.settings()
    with pytest.raises(InvalidInputError, match="logit_bias"):  # a token it was not asked about
        settings["stopping_criteria"](ids, ids)


def test_mlx(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "mlx.core", array=np.asarray, float32=np.float32)
    processor = Mlx(EveryNth(1.0, -1.0, 2))
    for dtype in (np.float32, np.float16):
        for ids, expected in (([5], AT_PLUS_ONE), ([5, 1], AT_MINUS_ONE)):
            out = processor(np.array(ids), np.array([ROW], dtype=dtype))
            assert out.dtype == np.float32
            np.testing.assert_allclose(out, expected[None].numpy(), rtol=1e-6)


def test_mlx_text_after_text(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "mlx.core", array=np.asarray, float32=np.float32)
    stand_in(monkeypatch, "mlx_lm.sample_utils", make_sampler=lambda temp: None)
    processor = Mlx(EveryNth(1.0, -1.0, 2))
    for begin in (processor.settings, processor.reset):
        for ids in ([5], [5, 1], [5, 1, 2, 3]):
            begin()
            out = processor(np.array(ids), np.array([ROW], dtype=np.float32))
            np.testing.assert_allclose(out, AT_PLUS_ONE[None].numpy(), rtol=1e-6)


def test_mlx_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "mlx_lm.sample_utils", make_sampler=lambda temp: ("sampler", temp))
    processor = Mlx(-1.0)
    assert processor.settings() == {"logits_processors": [processor], "sampler": ("sampler", 1.0)}
