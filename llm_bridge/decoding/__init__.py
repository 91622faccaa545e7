"""Decoding at any signed temperature: distributions, filters, schedules, masks, generation.

Logits are energies, E = −z, and a token is drawn from p ∝ exp(βz) with β of either sign, 0 or
±∞. The pieces compose: a `Schedule` says which β every token gets, `Filter` objects cut
candidates away, a mask says which tokens exist at all, a `Decoder` holds the three together and a
`DecoderRun` is one sequence being decoded, in our own `generate` or inside another engine.

Importing this package loads torch; ``import llm_bridge`` does not.
"""

from __future__ import annotations

try:
    import torch
except ImportError as error:
    from llm_bridge.errors import MissingExtraError

    raise MissingExtraError(error.name or "torch", "decoding") from error

from llm_bridge.decoding.candidates import Candidates
from llm_bridge.decoding.decoder import Decoded, Decoder, DecoderRun
from llm_bridge.decoding.entropy_schedules import (
    EDT,
    DynamicTemperature,
    EntropyFeedback,
    EntropyTarget,
    HotUntilSpike,
)
from llm_bridge.decoding.filters import (
    Eta,
    Filter,
    MinP,
    TopK,
    TopNSigma,
    TopP,
    Typical,
)
from llm_bridge.decoding.generation import Generated, GeneratedToken, generate, generate_many
from llm_bridge.decoding.masks import (
    end_of_text,
    english_words,
    no_padding,
    no_special,
    printable_text,
    reachable,
)
from llm_bridge.decoding.mirostat import Mirostat
from llm_bridge.decoding.sampling import sample
from llm_bridge.decoding.schedules import Constant, EveryNth, PerToken, Schedule, Step
from llm_bridge.decoding.signed_softmax import signed_log_probabilities
from llm_bridge.decoding.xtc import XTC

__all__ = [
    "signed_log_probabilities",
    "sample",
    "Candidates",
    "Filter",
    "TopK",
    "TopP",
    "MinP",
    "TopNSigma",
    "Typical",
    "Eta",
    "XTC",
    "Mirostat",
    "Schedule",
    "Step",
    "Constant",
    "PerToken",
    "EveryNth",
    "EDT",
    "DynamicTemperature",
    "EntropyTarget",
    "EntropyFeedback",
    "HotUntilSpike",
    "Decoder",
    "DecoderRun",
    "Decoded",
    "no_padding",
    "no_special",
    "end_of_text",
    "printable_text",
    "reachable",
    "english_words",
    "generate",
    "generate_many",
    "GeneratedToken",
    "Generated",
]
