"""Sampling again with more samples or another token limit: what comes out is what a fresh run makes, and little is drawn."""

import itertools
from pathlib import Path

import pytest

from lib import records, tables
from lib.engines.huggingface import Huggingface
from lib.engines.scripted import Scripted
from lib.problems.countdown import Countdown
from lib.protocols import Earlier, Machine, Work
from lib.samplers.independent import Independent
from lib.samplers.standing import standing
from lib.samplers.with_hint import WithHint
from lib.stages import sample as stage
from tests.filter_stage import completion, verdict
from tests.tiny_models import writer

PROBLEMS = Countdown().problems("train", 7, seed=0)
ANSWERS = tuple("123456789"[:length] for length in (1, 3, 5, 8))
SCRIPTED = Scripted(answers=tuple((records.chat(p)[0]["content"], ANSWERS) for p in PROBLEMS["prompt"].to_pylist()))
CPU = Machine()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return writer(tmp_path_factory.mktemp("writer"))


@pytest.fixture
def run(tmp_path, folder):
    """Run the sample stage over the problems; returns its folder and stats."""
    inputs = tmp_path / "problems"
    inputs.mkdir()
    tables.write(PROBLEMS, records.PROBLEMS, inputs / "problems.parquet")
    numbers = itertools.count()

    def run_stage(sampler, engine=SCRIPTED, earlier=(), machine=CPU, more=None):
        out = tmp_path / f"out-{next(numbers)}"
        out.mkdir()
        settings = {"sampler": sampler.model_dump(mode="json"), "engine": engine.model_dump(mode="json")}
        given = {"problems": [inputs], **(more or {})}
        return out, stage.run(Work(settings, given, {"policy": ("m" * 64, folder)}, 5, machine, tuple(earlier)), out)

    return run_stage


def rows(out: Path):
    return tables.read(out / "completions.parquet", records.COMPLETIONS).to_pylist()


def as_earlier(out: Path, sampler, name="first/1"):
    return Earlier(name, out, sampler.n, sampler.max_new_tokens)


def lengths(out: Path):
    return {(row["problem_id"], row["sample_index"]): len(row["completion_ids"]) for row in rows(out)}


ROUNDED = ("logprobs", "logprobs_at_1", "entropy_mean")


def assert_alike(one: Path, other: Path):
    """Equal rows in equal order; figures that are sums up to rounding."""
    first, second = rows(one), rows(other)
    exact = [[{name: value for name, value in row.items() if name not in ROUNDED} for row in some] for some in (first, second)]
    assert exact[0] == exact[1]
    for a, b in zip(first, second, strict=True):
        for name in ROUNDED:
            assert a[name] == pytest.approx(b[name], abs=1e-4)


ENGINES = {"scripted": SCRIPTED, "huggingface": Huggingface(), "with stop strings": Huggingface(stop=("7",))}
CHANGES = {
    "more samples": ((2, 6), (5, 6)),
    "fewer samples": ((5, 6), (2, 6)),
    "a higher limit": ((3, 4), (3, 9)),
    "a lower limit": ((3, 9), (3, 4)),
    "both": ((2, 4), (4, 9)),
    "one up, one down": ((2, 9), (4, 4)),
}
"""Number of samples and token limit, before and after."""


@pytest.mark.parametrize(
    ("engine", "change", "law"),
    [
        *((engine, change, {}) for engine in ("scripted", "huggingface") for change in CHANGES),
        *(("with stop strings", change, {}) for change in ("a higher limit", "one up, one down")),
        *(("huggingface", "both", law) for law in ({"temperature": 0.7, "top_p": 0.9}, {"temperature": 0.0})),
    ],
)
def test_what_comes_out_is_what_a_fresh_run_makes(run, engine, change, law):
    before, after = (Independent(n=n, max_new_tokens=limit, **law) for n, limit in CHANGES[change])
    first, _ = run(before, ENGINES[engine])
    fresh, whole = run(after, ENGINES[engine])
    mixed, stats = run(after, ENGINES[engine], [as_earlier(first, before)])
    assert_alike(mixed, fresh)
    assert stats["kept"] + stats["drawn"] == 7 * after.n
    assert stats["kept_from"] == ({"first/1": stats["kept"]} if stats["kept"] else {})
    assert (stats["tokens"], stats["truncated"]) == (whole["tokens"], whole["truncated"])
    assert stats["tokens_sampled"] < whole["tokens_sampled"] == whole["tokens"]


@pytest.mark.parametrize("engine", ["scripted", "huggingface"])
def test_only_what_is_missing_or_was_cut_off_is_drawn(run, engine):
    before, after = Independent(n=2, max_new_tokens=4), Independent(n=3, max_new_tokens=9)
    first, stats = run(before, ENGINES[engine])
    fresh, _ = run(after, ENGINES[engine])
    _, mixed = run(after, ENGINES[engine], [as_earlier(first, before)])
    assert mixed["kept"] == 14 - stats["truncated"] > 0
    assert mixed["drawn"] == 7 + stats["truncated"] > 7
    assert mixed["tokens_sampled"] == sum(lengths(fresh).values()) - sum(lengths(first).values()), "a cut-off one goes on where it ended"


def test_a_run_that_everything_stands_for_asks_the_engine_for_nothing(run):
    before = Independent(n=3, max_new_tokens=12)
    first, _ = run(before)
    _, stats = run(Independent(n=2, max_new_tokens=12), earlier=[as_earlier(first, before)])
    assert (stats["kept"], stats["drawn"], stats["tokens_sampled"]) == (14, 0, 0)


def test_several_publications_serve_one_run_and_each_has_its_share(run):
    near, far = Independent(n=2, max_new_tokens=6), Independent(n=4, max_new_tokens=3)
    after = Independent(n=5, max_new_tokens=6)
    made = [as_earlier(run(near)[0], near, "near/1"), as_earlier(run(far)[0], far, "far/2")]
    mixed, stats = run(after, earlier=made)
    assert_alike(mixed, run(after)[0])
    assert stats["kept_from"]["near/1"] == 14
    assert 0 < stats["kept_from"]["far/2"] < 14, "of the third and fourth samples, those that were not cut off"


def test_a_mixed_run_serves_the_next_one(run):
    steps = [Independent(n=2, max_new_tokens=3), Independent(n=3, max_new_tokens=5), Independent(n=4, max_new_tokens=12)]
    made, _ = run(steps[0], ENGINES["huggingface"])
    for before, after in itertools.pairwise(steps):
        made, _ = run(after, ENGINES["huggingface"], [as_earlier(made, before)])
    assert_alike(made, run(steps[-1], ENGINES["huggingface"])[0])


def test_hinted_completions_stand_too(run, tmp_path):
    attempts = [completion(f"c{n}", name, completion_ids=[7]) for n, name in enumerate(PROBLEMS["problem_id"].to_pylist())]
    given = tmp_path / "attempts"
    given.mkdir()
    tables.write(records.COMPLETIONS.table(attempts), records.COMPLETIONS, given / "completions.parquet")
    verdicts = records.VERDICTS.table([verdict(f"c{n}", "wrong") for n in range(7)])
    tables.write(verdicts, records.VERDICTS, given / "verdicts.parquet")
    more = {"completions": [given], "verdicts": [given]}
    before, after = WithHint(n=1, max_new_tokens=6), WithHint(n=3, max_new_tokens=9)
    first, _ = run(before, ENGINES["huggingface"], more=more)
    mixed, stats = run(after, ENGINES["huggingface"], [as_earlier(first, before)], more=more)
    assert_alike(mixed, run(after, ENGINES["huggingface"], more=more)[0])
    assert 0 < stats["kept"] <= 7


def table(*found):
    return records.COMPLETIONS.table([completion(f"c{n}", **fields) for n, fields in enumerate(found)])


def stands(tmp_path, made, *, then, limit, engine, device="cpu"):
    """Ids that stand and ids to be continued, of completions made under the limit `then`."""
    tables.write(made, records.COMPLETIONS, tmp_path / "completions.parquet")
    settings = {"sampler": Independent(n=2, max_new_tokens=limit).model_dump(mode="json"), "engine": engine}
    found = standing([Earlier("first/1", tmp_path, 2, then)], settings, device)
    return [[name for one in found for name in part(one)["completion_id"].to_pylist()] for part in (lambda o: o.rows, lambda o: o.begun)]


SERVER = {"strategy": "lib.engines.openai_server:OpenaiServer", "base_url": "http://127.0.0.1:1/v1"}
LOCAL = {"strategy": "lib.engines.huggingface:Huggingface"}
SHORT = {"completion_ids": [5], "finish_reason": "stop"}
CUT = {"completion_ids": [5, 6, 7, 8], "finish_reason": "length"}
EXACT = {"completion_ids": [5, 6, 7, 8], "finish_reason": "stop"}
LOST = {"completion_ids": [], "finish_reason": "error"}
BEYOND = {"completion_ids": [5], "finish_reason": "stop", "sample_index": 2}


@pytest.mark.parametrize("engine", [SERVER, LOCAL])
def test_a_completion_that_ended_on_the_limit_itself_was_not_cut_off(tmp_path, engine):
    assert stands(tmp_path, table(SHORT, CUT, EXACT, LOST, BEYOND), then=4, limit=9, engine=engine) == [["c0", "c2"], ["c1"]]


@pytest.mark.parametrize("engine", [SERVER, LOCAL])
def test_errors_never_stand_and_the_same_limit_keeps_what_was_cut_off(tmp_path, engine):
    assert stands(tmp_path, table(SHORT, CUT, EXACT, LOST, BEYOND), then=4, limit=4, engine=engine) == [["c0", "c1", "c2"], []]


def test_text_that_was_tokenised_again_stands_under_its_own_limit_alone(tmp_path):
    made = table(SHORT | {"ids_source": "retokenised"}, CUT | {"ids_source": "retokenised"})
    assert stands(tmp_path, made, then=4, limit=4, engine=SERVER) == [["c0", "c1"], []]
    assert stands(tmp_path, made, then=4, limit=9, engine=SERVER) == [[], []]


def test_where_nothing_can_be_continued_short_ones_are_not_picked_out(tmp_path):
    """Keeping the short and drawing the long again from other noise would favour the short."""
    for engine, device in ((SERVER, "cpu"), (LOCAL, "cuda:0")):
        assert stands(tmp_path, table(SHORT, CUT), then=4, limit=9, engine=engine | {"stop": ["7"]}, device=device) == [[], []]
    assert stands(tmp_path, table(SHORT, CUT), then=4, limit=9, engine=LOCAL | {"stop": ["7"]}) == [["c0"], []]
    assert stands(tmp_path, table(SHORT, CUT), then=4, limit=9, engine=LOCAL, device="cuda:0") == [["c0"], ["c1"]]


def test_a_lower_limit_cuts_where_the_row_tells_all_and_draws_again_where_it_does_not(tmp_path):
    assert stands(tmp_path, table(SHORT, CUT), then=4, limit=2, engine=SERVER) == [["c0", "c1"], []]
    told = table(SHORT | {"entropy_mean": 0.5}, CUT | {"entropy_mean": 0.5})
    assert stands(tmp_path, told, then=4, limit=2, engine=LOCAL) == [["c0"], []]
    assert stands(tmp_path, told, then=4, limit=2, engine=LOCAL, device="cuda:0") == [[], []]
