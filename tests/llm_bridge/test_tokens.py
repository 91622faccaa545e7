"""Anomalous tokens: exact on models made by hand, and the known answer of the demo model."""

from __future__ import annotations

import json
from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats

from llm_bridge.logits import record_logits
from llm_bridge.models import LanguageModel, load_model
from llm_bridge.readings import in_precision
from llm_bridge.tokens import (
    CATEGORIES,
    agreement,
    anomalous_tokens,
    auroc,
    cut_prompts,
    embedding_indicators,
    extreme_rows,
    gaussian_levels,
    loop_period,
    overlap_at,
    read_prompts,
    repeat_after_me,
    repeated_share,
    spearman,
    texts_at_temperatures,
    token_categories,
    unused_rows,
)
from llm_bridge.tokens.bottom import descend, rank_statistics, ratio_over_prompts, spacing
from llm_bridge.tokens.categories import _bytes_of
from llm_bridge.tokens.inversion import end_of_spectrum
from thermo import canonical
from thermo.errors import InvalidInputError

torch = pytest.importorskip("torch")

WORDS = ["a", "b", "c", "d", "e", "\x1b[31mred"]


class Bigram(torch.nn.Module):
    """Logits of the next token are head · embedding of the last one, plus what was shown before."""

    def __init__(self, embedding, head, bias=None, copying=0.0, tied=False) -> None:
        super().__init__()
        embedding, head = (torch.tensor(part, dtype=torch.float32) for part in (embedding, head))
        self.embedding = torch.nn.Embedding(*embedding.shape)
        self.head = torch.nn.Linear(head.shape[1], head.shape[0], bias=bias is not None)
        self.embedding.weight.data = embedding
        self.head.weight = self.embedding.weight if tied else torch.nn.Parameter(head)
        if bias is not None:
            self.head.bias.data = torch.tensor(bias, dtype=torch.float32)
        self.copying = copying
        self.config = SimpleNamespace(vocab_size=len(head), max_position_embeddings=None)

    def get_input_embeddings(self):
        return self.embedding

    def get_output_embeddings(self):
        return self.head

    def forward(self, input_ids, past_key_values=None, use_cache=False):
        logits = self.head(self.embedding(input_ids))
        shown = torch.nn.functional.one_hot(input_ids, logits.shape[-1]).sum(1, keepdim=True)
        return SimpleNamespace(logits=logits + self.copying * (shown >= 3))


def words_model(module: Bigram) -> LanguageModel:
    """A tokenizer of six words; further rows of the head are padding."""
    import tokenizers
    import transformers

    level = tokenizers.models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="a")
    inner = tokenizers.Tokenizer(level)
    inner.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    return LanguageModel(module, transformers.PreTrainedTokenizerFast(tokenizer_object=inner))


def rows_model(table, **options) -> LanguageModel:
    """Row i of the table: the logits that follow token i."""
    table = np.asarray(table, dtype=float)
    return words_model(Bigram(np.eye(len(table)), table.T, **options))


def some_model(padding: int = 0, seed: int = 20261121, **options) -> LanguageModel:
    rng = np.random.default_rng(seed)
    return rows_model(rng.normal(size=(6 + padding, 6 + padding)), **options)


@pytest.fixture(scope="module")
def demo() -> LanguageModel:
    return load_model("demo")


@pytest.fixture(scope="module")
def demo_table(demo):
    return anomalous_tokens(
        demo, cut_prompts(demo, demo.held_out_text, 12, 24), steps=24, asked=300, seed=3
    )


# ------------------------------------------------------------------------------------------------
# categories


def test_categories_of_a_padded_byte_level_model(model: LanguageModel) -> None:
    found = token_categories(model)
    assert set(found) <= set(CATEGORIES)
    assert (found == "padded").tolist() == (~model.valid).tolist()
    assert (found == "padded").sum() == 5
    assert (found == "special").sum() == 1
    assert (found == "impossible byte").sum() == 13  # C0, C1, F5 … FF
    assert found[model.encode("e")[0]] == "plain"
    assert unused_rows(found).sum() == 18


def test_names_of_bytes() -> None:
    assert _bytes_of("<0xC1>") == b"\xc1"
    assert _bytes_of("Ġa") == b" a"
    assert _bytes_of("Á") == b"\xc1"
    assert _bytes_of("温") == b""


# ------------------------------------------------------------------------------------------------
# embeddings


def test_indicators_against_their_definitions() -> None:
    rng = np.random.default_rng(4)
    given, head, bias = rng.normal(size=(8, 3)), rng.normal(size=(8, 3)), rng.normal(size=8)
    head[7] = 0.0
    model = words_model(Bigram(given, head, bias))
    unused = np.array([False] * 5 + [True] * 3)
    found = embedding_indicators(model, unused)
    for which, rows in (("input", given), ("output", head)):
        rows = rows.astype(np.float32).astype(np.float64)
        centroid = rows[:6].mean(axis=0)  # of the tokens, without the padding
        away = rows - centroid
        axis = np.linalg.svd(away[:6], full_matrices=False)[2][0]
        flat = away - np.outer(away @ axis, axis)
        for i in range(8):
            others = [k for k in (5, 6, 7) if k != i]

            def cosine(part, i=i, others=others):
                u = part[others].mean(axis=0)
                size = np.linalg.norm(part[i]) * np.linalg.norm(u)
                return part[i] @ u / size if size else 0.0

            expected = {
                "norm": np.linalg.norm(rows[i]),
                "centroid_distance": np.linalg.norm(away[i]),
                "unused_cosine": cosine(rows),
                "unused_cosine_centred": cosine(away),
                "unused_cosine_without_pc": cosine(flat),
            }
            for name, value in expected.items():
                assert found[f"{which}_{name}"][i] == pytest.approx(value, abs=1e-9), (name, i)
    assert found["head_bias"] == pytest.approx(bias.astype(np.float32))
    assert found["output_unused_cosine"][7] == 0.0


def test_what_a_common_vector_in_the_head_changes_is_gauge() -> None:
    rng = np.random.default_rng(5)
    given, head, shift = rng.normal(size=(6, 4)), rng.normal(size=(6, 4)), rng.normal(size=4)
    a, b = (
        embedding_indicators(words_model(Bigram(given, rows)), [4, 5])
        for rows in (head, head + shift)
    )
    for name in ("centroid_distance", "unused_cosine_centred", "unused_cosine_without_pc"):
        assert a[f"output_{name}"] == pytest.approx(b[f"output_{name}"], abs=1e-5)
    assert abs(a["output_norm"] - b["output_norm"]).max() > 0.1


def test_tied_embeddings_no_bias_no_unused_rows(tied_model: LanguageModel) -> None:
    found = embedding_indicators(tied_model, [])
    assert found["input_norm"] is found["output_norm"]
    assert np.isnan(found["head_bias"]).all()
    assert np.isnan(found["output_unused_cosine"]).all()
    alone = embedding_indicators(tied_model, [0])["output_unused_cosine"]
    assert np.isnan(alone[0])
    assert np.isfinite(alone[1:]).all()


def test_corners_can_be_argmin_and_the_inside_cannot() -> None:
    rng = np.random.default_rng(6)
    rows = np.vstack([rng.normal(size=(40, 3)), 0.02 * rng.normal(size=(5, 3))])
    corner = extreme_rows(rows)
    assert 5 < corner.sum() < 40
    assert not corner[40:].any()
    away = rows - rows.mean(axis=0)
    for i in np.flatnonzero(corner):
        assert (rows @ -away[i]).argmin() == i
    lowest = (rng.normal(size=(5000, 3)) @ rows.T).argmin(axis=1)
    assert not np.isin(lowest, np.arange(40, 45)).any()


# ------------------------------------------------------------------------------------------------
# the bottom


def test_one_step_statistics_are_exact_and_ties_go_to_the_lowest_id() -> None:
    model = rows_model([[0, 3, -1, -1, 2, 1], [5, 4, 3, 2, 1, 0.5], *np.zeros((4, 6))])
    found = rank_statistics(model, [np.array([0, 1]), np.array([0, 0])], model.valid)
    assert found.bottom.token.tolist() == [2, 5, 2, 2]
    assert found.bottom.gap.tolist() == [0.0, 0.5, 0.0, 0.0]
    assert found.bottom.prompt.tolist() == [0, 0, 1, 1]
    assert found.mean_rank.tolist() == [2.75, 4.75, 0.75, 1.25, 3.25, 2.25]
    z = np.array([[0, 3, -1, -1, 2, 1.0]] * 3 + [[5, 4, 3, 2, 1, 0.5]])
    z = (z - z.mean(1, keepdims=True)) / z.std(1, keepdims=True)
    assert found.mean_z == pytest.approx(z.mean(axis=0))
    share, error = found.bottom.share(6)
    assert share.tolist() == [0, 0, 0.75, 0, 0, 0.25]
    assert error.tolist() == [0, 0, 0.25, 0, 0, 0.25]
    assert found.bottom.share_of(np.arange(6) == 5) == (0.25, 0.25)


def test_padded_rows_in_and_out() -> None:
    table = np.arange(64.0).reshape(8, 8) % 7
    table[:, 6:] = -5.0
    model = rows_model(table)
    out = rank_statistics(model, [np.array([0, 1, 2])], model.valid)
    assert out.bottom.token.max() < 6
    assert np.isnan(out.mean_rank[6:]).all()
    assert np.isnan(out.mean_z_error).all()  # one prompt has no error
    inside = rank_statistics(model, [np.array([0, 1, 2])], np.ones(8, dtype=bool))
    assert inside.bottom.token.tolist() == [6, 6, 6]


def test_walks_go_on_from_their_own_tokens() -> None:
    """a → b → c → a … downhill; one step from the text a a a is always b."""
    table = np.zeros((6, 6))
    for i, lowest in enumerate([1, 2, 0]):
        table[i, lowest] = -1.0
    model = rows_model(table)
    prompts = [np.array([0, 0, 0]), np.array([1])]
    walk = descend(model, prompts, model.valid, 5)
    assert walk.token.tolist() == [1, 2, 0, 1, 2, 2, 0, 1, 2, 0]
    assert walk.prompt.tolist() == [0] * 5 + [1] * 5
    step = rank_statistics(model, prompts, model.valid, "last").bottom
    assert step.token.tolist() == [1, 2]


def test_spacing_is_that_of_the_types() -> None:
    values = np.array([-9.8, 0.3, -20.0, 1.0, 5e-6])
    assert (
        spacing(values[:4], "float16").tolist()
        == np.spacing(np.abs(values[:4]).astype(np.float16)).astype(float).tolist()
    )
    assert (
        spacing(values, "float32").tolist()
        == np.spacing(np.abs(values).astype(np.float32)).astype(float).tolist()
    )
    assert spacing(5e-6, "float16") == 2.0**-24  # subnormal
    up = torch.nextafter(torch.tensor(9.8).bfloat16(), torch.tensor(100.0).bfloat16())
    assert spacing(-9.8, "bfloat16") == float(up) - float(torch.tensor(9.8).bfloat16())


def test_gap_within_spacing() -> None:
    model = rows_model([[-8.0, -7.999, 0, 0, 0, 0], [-8.0, -7.95, 0, 0, 0, 0], *np.zeros((4, 6))])
    bottom = rank_statistics(model, [np.array([0]), np.array([1])], model.valid).bottom
    assert bottom.within_spacing("float32") == (0.0, 0.0)
    assert bottom.within_spacing("float16") == (0.5, 0.5)
    assert bottom.within_spacing("bfloat16") == (1.0, 0.0)
    assert json.dumps(bottom.summary(), allow_nan=False)


def test_errors_over_prompts() -> None:
    """Of equal prompts s/√P; of unequal ones right on average, within 5 errors of 2000 trials."""
    rng = np.random.default_rng(7)
    means = rng.normal(size=9)
    value, error = ratio_over_prompts(4 * means[:, None], np.full(9, 4))
    assert value[0] == pytest.approx(means.mean())
    assert error[0] == pytest.approx(means.std(ddof=1) / 3)
    trials = []
    for _ in range(2000):
        counts = rng.integers(5, 15, 60)
        sums = counts * rng.normal(size=60)  # a mean of its own for every prompt
        trials.append(np.stack(ratio_over_prompts(sums[:, None], counts))[:, 0])
    values, errors = np.transpose(trials)
    z2 = (values / errors) ** 2
    assert (
        abs(z2.mean() - 1) < 5 * z2.std() / np.sqrt(2000) + 0.05
    )  # 0.05: a ratio's bias at P = 60


def test_a_model_that_masks_a_token_itself_is_refused() -> None:
    model = rows_model([[0, 1, 2, 3, 4, -1e30]] * 6)
    with pytest.raises(InvalidInputError, match="masks token 5"):
        anomalous_tokens(model, ["a b"])


# ------------------------------------------------------------------------------------------------
# repetition


def test_repetition_is_exact_for_a_model_that_copies() -> None:
    model = some_model(copying=4.0)
    probability, rank = repeat_after_me(model, template="{token} {token} {token} a")
    rows = model.logits([0])[0].astype(float)
    for token in range(1, 6):
        z = rows + 4.0 * (np.arange(6) == token)
        p = np.exp(z - z.max())
        assert probability[token] == pytest.approx(p[token] / p.sum(), rel=1e-5)
        assert rank[token] == (z > z[token]).sum()


def test_repetition_leaves_out_what_was_not_asked_and_padding() -> None:
    probability, _ = repeat_after_me(some_model(padding=2), [1, 3], template="{token} a")
    assert np.flatnonzero(~np.isnan(probability)).tolist() == [1, 3]
    whole, _ = repeat_after_me(some_model(padding=2), template="{token} a")
    assert np.isnan(whole[6:]).all()
    assert whole[:6].sum() == pytest.approx(1)  # what follows "a" does not depend on the token


# ------------------------------------------------------------------------------------------------
# agreement


def test_auroc_counts_pairs() -> None:
    rng = np.random.default_rng(8)
    x, y = rng.integers(0, 6, 60).astype(float), rng.random(60) < 0.3
    pairs = [(a > b) + (a == b) / 2 for a in x[y] for b in x[~y]]
    assert auroc(x, y).value == pytest.approx(np.mean(pairs))
    u = scipy.stats.mannwhitneyu(x[y], x[~y]).statistic
    assert auroc(x, y).value == pytest.approx(u / (y.sum() * (~y).sum()))
    assert auroc(-x, y).value == pytest.approx(1 - auroc(x, y).value)
    assert auroc(np.append(x, np.nan), np.append(y, True)) == auroc(x, y)


def test_auroc_error_covers() -> None:
    """z² over 1500 drawn vocabularies, mean 1 within 5 errors; the true A is Φ(1/√2)."""
    rng = np.random.default_rng(9)
    true = scipy.stats.norm.cdf(1 / np.sqrt(2))
    y = np.arange(300) < 60
    z2 = []
    for _ in range(1500):
        value, error = auroc(rng.normal(size=300) + y, y)
        z2.append(((value - true) / error) ** 2)
    assert abs(np.mean(z2) - 1) < 5 * np.std(z2) / np.sqrt(1500)


def test_negative_control_shuffled_knowledge_finds_nothing(demo_table) -> None:
    """Within 5 widths of the permutation distribution, ties counted (Lehmann 1975, 1.20)."""
    known = np.random.default_rng(10).permutation(demo_table.known)
    for name, found in agreement(demo_table, known).auroc.items():
        values = demo_table[name]
        usable = ~np.isnan(values)
        m, total = int(known[usable].sum()), int(usable.sum())
        ties = np.unique(values[usable], return_counts=True)[1].astype(float)
        tied = (ties**3 - ties).sum() / (total * (total - 1))
        width = np.sqrt((total + 1 - tied) / (12 * m * (total - m)))
        assert abs(found.value - 0.5) < 5 * width, name


def test_spearman_is_scipys_and_its_error_covers() -> None:
    rng = np.random.default_rng(11)
    x = rng.integers(0, 9, 80)
    y = x + rng.integers(0, 9, 80)
    assert spearman(x, y).value == pytest.approx(scipy.stats.spearmanr(x, y).statistic)
    assert np.isnan(spearman(np.ones(9), np.arange(9)).value)
    r = 0.6
    true = 6 / np.pi * np.arcsin(r / 2)
    z2 = []
    for _ in range(1500):
        a, b = rng.normal(size=(2, 200))
        value, error = spearman(a, r * a + np.sqrt(1 - r * r) * b)
        z2.append(((value - true) / error) ** 2)
    assert abs(np.mean(z2) - 1) < 5 * np.std(z2) / np.sqrt(1500) + 0.1  # an approximate error


def test_overlap_is_the_mean_over_all_ways_to_break_ties() -> None:
    x, y = np.array([3.0, 1, 1, 0, 1]), np.array([1.0, 1, 0, 2, 1])

    def top(values, order):
        return set(sorted(range(5), key=lambda i: (-values[i], order[i]))[:2])

    orders = list(permutations(range(5)))
    shared = [len(top(x, a) & top(y, b)) / 2 for a in orders for b in orders[::7]]
    by_hand = np.mean([len(top(x, a) & top(y, b)) / 2 for a in orders for b in orders])
    assert len(shared) > 1000
    assert overlap_at(2, x, y).value == pytest.approx(by_hand)
    assert overlap_at(5, x, y).value == 1.0


def test_overlap_by_chance_is_hypergeometric() -> None:
    x = np.arange(40.0)
    found = overlap_at(10, x, x)
    assert found.error == pytest.approx(scipy.stats.hypergeom(40, 10, 10).std() / 10)


# ------------------------------------------------------------------------------------------------
# the table


def test_table_of_a_tiny_padded_model() -> None:
    model = some_model(padding=2)
    table = anomalous_tokens(model, ["a b", "c d e"], steps=3, known=[1], template="{token} a")
    assert table.category.tolist() == ["plain"] * 6 + ["padded"] * 2
    assert np.isnan(table["argmin_share"][6:]).all()
    assert np.nansum(table["argmin_share"]) == pytest.approx(1)
    assert np.nansum(table["autoregressive_share"]) == pytest.approx(1)
    assert table.one_step.token.size == 5
    assert table.autoregressive.token.size == 6
    assert np.isfinite(table["input_norm"]).all()
    assert json.loads(json.dumps(table.to_dict(), allow_nan=False))["known"][1] is True
    inside = anomalous_tokens(model, ["a b"], steps=0, asked=0, known=[1], padded=True)
    assert inside.known.tolist() == [False, True] + [False] * 4 + [True] * 2
    assert "repeat_probability" not in inside.columns
    assert inside.autoregressive is None
    assert agreement(inside).tokens == 8
    assert agreement(table).tokens == 6


def test_a_model_in_bfloat16() -> None:
    model = in_precision(some_model(padding=2), "bfloat16")
    table = anomalous_tokens(model, ["a b", "c d e"], steps=2, known=[1], template="{token} a")
    assert np.isfinite(table["input_norm"]).all()
    assert record_logits(model, "a b c").origin_dtype == "bfloat16"


def test_sorting_puts_the_anomalous_side_first_and_nan_last() -> None:
    table = anomalous_tokens(some_model(padding=2), ["a b c"], steps=0, asked=0)
    low = table.sorted_by("mean_z")
    assert (np.diff(low["mean_z"][:6]) >= 0).all()
    assert low.id[6:].tolist() == [6, 7]
    high = table.sorted_by("mean_z", descending=True)
    assert high.id[:6].tolist() == low.id[:6].tolist()[::-1]
    assert table.sorted_by("argmin_share")["argmin_share"][0] == np.nanmax(table["argmin_share"])
    with pytest.raises(InvalidInputError, match="did you mean 'mean_z'"):
        table.sorted_by("meanz")


def test_token_text_is_escaped() -> None:
    table = anomalous_tokens(some_model(), ["a b c"], steps=0, asked=0)
    assert any("\x1b" in text for text in table.text)
    assert "\x1b" not in table.to_text()
    assert "\\x1b[31mred" in table.to_text()


def test_the_demo_model_gives_its_never_met_tokens_away(demo_table) -> None:
    found = agreement(demo_table)
    assert (found.tokens, found.known) == (4096, 159)
    for name in ("input_norm", "input_centroid_distance", "output_unused_cosine", "mean_z"):
        assert found.auroc[name].value > 0.99, name
    for name in ("output_norm", "output_centroid_distance"):  # the claim the wrong way round
        assert found.auroc[name].value < 0.01, name
    assert found.overlap["input_norm", "mean_z"].value > 0.9
    last = demo_table.autoregressive.token[23::24]  # where the walks down have come to
    assert demo_table.known[last].mean() > 0.5 > demo_table.one_step.share_of(demo_table.known)[0]
    assert json.dumps(found.to_dict(), allow_nan=False)


def test_the_seed_chooses_who_is_asked() -> None:
    asked = []
    for seed in (1, 1, 2, 3):
        table = anomalous_tokens(some_model(), ["a"], steps=0, asked=2, seed=seed)
        asked.append(np.flatnonzero(~np.isnan(table["repeat_probability"])).tolist())
    assert asked[0] == asked[1]
    assert any(other != asked[0] for other in asked)
    assert {len(who) for who in asked} == {2}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompts": "a b"}, "a list of at least one"),
        ({"prompts": []}, "a list of at least one"),
        ({"prompts": [""]}, "prompt 0 is"),
        ({"prompts": ["a", [1.5]]}, "prompt 1 is"),
        ({"prompts": [[99]]}, "outside 0 … 5"),
        ({"positions": "some"}, "accepted: 'all', 'last'"),
        ({"steps": -1}, "steps = -1"),
        ({"asked": 1.5}, "asked = 1.5"),
        ({"padded": "no"}, "padded = 'no'"),
        ({"seed": None}, "seed = None"),
        ({"known": [7]}, "known has shape"),
        ({"unused": [-1]}, "unused has shape"),
        ({"template": "again:"}, "a text with {token} in it"),
    ],
)
def test_bad_input(options, message) -> None:
    with pytest.raises(InvalidInputError) as caught:
        anomalous_tokens(some_model(), **{"prompts": ["a b"], **options})
    assert message in str(caught.value)


def test_prompts(tmp_path, model: LanguageModel, text: str) -> None:
    pieces = cut_prompts(model, text, 4, 10)
    ids = model.encode(text)
    assert [p.size for p in pieces] == [10] * 4
    assert pieces[1].tolist() == ids[ids.size // 4 :][:10].tolist()
    with pytest.raises(InvalidInputError, match="at least 10000000 are needed"):
        cut_prompts(model, text, 10**6, 10)
    path = tmp_path / "prompts.txt"
    path.write_text("one\n\n  \ntwo words\n", encoding="utf-8")
    assert read_prompts(path) == ["one", "two words"]
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInputError, match="not UTF-8"):
        read_prompts(path)


# ------------------------------------------------------------------------------------------------
# below zero


def test_loops() -> None:
    assert repeated_share([1, 2, 3, 4, 5]) == 0
    assert repeated_share([7] * 103) == pytest.approx(0.99)
    assert np.isnan(repeated_share([1, 2]))
    assert loop_period([7] * 3) == 1
    assert loop_period([1, 2, 3, 1, 2, 3, 1, 2]) is None  # not three times
    assert loop_period([9, 9, *[1, 2, 3] * 3]) == 3
    with pytest.raises(InvalidInputError):
        repeated_share([[1, 2]])


def test_texts_at_both_ends_of_a_bigram() -> None:
    table = np.zeros((6, 6))
    table[range(6), [1, 2, 3, 4, 5, 0]] = 40.0  # up: a b c d e …
    table[range(6), [1, 0, 0, 0, 0, 0]] -= 80.0
    table[0, 1], table[0, 2] = -40.0, 40.0  # down from a is b, and back
    cold, hot, fixed = texts_at_temperatures(
        rows_model(table), "a", [0.5, -0.5, -0.0], max_tokens=30
    )
    assert loop_period(cold.ids) == cold.period
    assert hot.period == fixed.period == 2
    assert set(hot.ids.tolist()) == {0, 1}
    assert hot.share_of(np.arange(6) == 0) == 0.5
    assert fixed.entropy.mean == 0
    assert fixed.end_probability.mean == 1
    assert str(fixed.temperature) == "-0.0"
    assert hot.surprise.mean > 70  # by the model's own light nothing is less likely
    assert cold.surprise.mean < 1
    assert fixed.end_gap == hot.end_gap == 60.0  # 40 nats after a, 80 after b, as often


def test_end_of_spectrum_of_two_levels() -> None:
    entropy, likely = end_of_spectrum([[1.0, -1.0]], -0.7)
    p = 1 / (1 + np.exp(-1.4))
    assert likely[0] == pytest.approx(p)
    assert entropy[0] == pytest.approx(-p * np.log(p) - (1 - p) * np.log(1 - p))
    assert end_of_spectrum([[3.0, 2.0, 1.0]], 0.0)[1][0] == pytest.approx(1 / 3)


def test_normal_levels_follow_the_random_energy_model() -> None:
    levels = gaussian_levels(2.0, 50_000)
    assert levels.energies == pytest.approx(-levels.energies[::-1])
    beta = np.array([-0.5, -0.25, 0.25, 0.5])
    state = canonical(levels, beta)
    assert state.entropy == pytest.approx(np.log(50_000) - (2 * beta) ** 2 / 2, abs=2e-3)
    frozen = canonical(levels, [-20.0])
    assert frozen.entropy[0] < 0.01


# ------------------------------------------------------------------------------------------------
# pictures


def test_pictures_draw(demo_table) -> None:
    from llm_bridge.tokens.pictures import overview, plot_states

    figure = overview(demo_table, agreement(demo_table))
    left, right = figure.axes
    assert len(left.get_yticks()) == len(agreement(demo_table).auroc)
    assert right.get_legend() is not None
    axes = figure.add_subplot()
    assert plot_states(axes, [-1, -0.1], [100, 10], [1, 1], [50, 2], [(-1.0, 90.0, 5.0)]) is axes
    unknown = anomalous_tokens(some_model(), ["a b c", "d e"], steps=0, asked=0)
    assert len(overview(unknown, agreement(unknown)).axes) == 2
