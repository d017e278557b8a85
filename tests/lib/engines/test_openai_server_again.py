"""Sampling again from a server with more samples or another token limit: it is asked for what is missing, and no more."""

from pathlib import Path

import pytest

from lib import records, tables
from lib.problems.countdown import Countdown
from lib.protocols import Earlier, Machine, Work
from lib.samplers.independent import Independent
from lib.stages import sample as stage
from tests.server_questions import NAME

PROBLEMS = Countdown().problems("train", 4, seed=0)
BEFORE = Independent(n=3, max_new_tokens=4)


@pytest.fixture
def run(tmp_path, server, served_folder):
    """Run the sample stage at the server; returns its rows by problem and sample index, its stats, and its folder."""
    inputs = tmp_path / "problems"
    inputs.mkdir()
    tables.write(PROBLEMS, records.PROBLEMS, inputs / "problems.parquet")

    def run_stage(sampler, earlier=(), **engine):
        out = tmp_path / f"out-{len(list(tmp_path.iterdir()))}"
        out.mkdir()
        asked = {"strategy": "lib.engines.openai_server:OpenaiServer", "base_url": server.base_url, "pause_seconds": 0.01, "attempts": 2}
        settings = {"sampler": sampler.model_dump(mode="json"), "engine": asked | engine}
        work = Work(settings, {"problems": [inputs]}, {"policy": (NAME, served_folder)}, 5, Machine(), tuple(earlier))
        stats = stage.run(work, out)
        found = tables.read(out / "completions.parquet", records.COMPLETIONS).to_pylist()
        return {(row["problem_id"], row["sample_index"]): row for row in found}, stats, out

    return run_stage


def as_earlier(out: Path, sampler=BEFORE) -> list[Earlier]:
    return [Earlier("first/1", out, sampler.n, sampler.max_new_tokens)]


def completions_asked(state) -> int:
    return sum(body["n"] for body in state.seen if body["max_tokens"] > 1)  # one token: the engine tries what the server takes


def test_more_samples_ask_for_the_missing_ones_alone(run, state):
    first, _, out = run(BEFORE)
    state.seen.clear()
    made, stats, _ = run(Independent(n=5, max_new_tokens=4), as_earlier(out))
    assert completions_asked(state) == 8
    assert {place: row for place, row in made.items() if place[1] < 3} == first
    assert (stats["kept"], stats["drawn"]) == (12, 8)
    assert stats["tokens_sampled"] == sum(len(row["completion_ids"]) for place, row in made.items() if place[1] >= 3)


def test_a_higher_limit_continues_what_was_cut_off_with_other_noise(run, state):
    first, before, out = run(BEFORE)
    wished = {body["seed"] for body in state.seen}
    state.seen.clear()
    made, stats, _ = run(Independent(n=3, max_new_tokens=10), as_earlier(out))
    assert 0 < completions_asked(state) == before["truncated"] < 12
    assert {body["max_tokens"] for body in state.seen} <= {6, 1}
    prompts = [(row["prompt_ids"] + row["completion_ids"]) for row in first.values() if row["finish_reason"] == "length"]
    assert sorted(body["prompt"] for body in state.seen if body["max_tokens"] > 1) == sorted(prompts)
    assert not wished & {body["seed"] for body in state.seen if body["max_tokens"] > 1}
    for place, row in made.items():
        old = first[place]
        assert row["completion_ids"][: len(old["completion_ids"])] == old["completion_ids"]
        assert len(row["logprobs"]) == len(row["logprobs_at_1"]) == len(row["completion_ids"]) <= 10
        assert row == old or old["finish_reason"] == "length"
    assert stats["kept"] == 12 - before["truncated"]
    assert stats["tokens_sampled"] == stats["tokens"] - before["tokens"]


def test_a_lower_limit_asks_for_nothing(run, state):
    long = Independent(n=3, max_new_tokens=10)
    first, _, out = run(long)
    state.seen.clear()
    made, stats, _ = run(BEFORE, as_earlier(out, long))
    assert state.seen == []
    assert (stats["kept"], stats["tokens_sampled"]) == (12, 0)
    for place, row in made.items():
        assert row["completion_ids"] == first[place]["completion_ids"][:4]
        assert row["finish_reason"] == ("length" if len(first[place]["completion_ids"]) > 4 else first[place]["finish_reason"])
        assert row["logprobs"] == first[place]["logprobs"][:4]


def test_errors_are_asked_again_and_nothing_else(run, state):
    state.faults = ["fine", "400"]  # the engine's own try of what the server takes, then the first prompt
    first, before, out = run(BEFORE, concurrency=1)
    assert before["errors"] == 3
    state.seen.clear()
    made, stats, _ = run(Independent(n=4, max_new_tokens=4), as_earlier(out))
    assert stats["errors"] == 0
    assert completions_asked(state) == stats["drawn"] == 4 + 3
    assert [made[place] == row for place, row in first.items()] == [row["finish_reason"] != "error" for row in first.values()]


def test_a_server_that_takes_messages_alone_cannot_continue_and_is_asked_for_everything(run, state):
    state.has_completions = False
    _, _, out = run(BEFORE)
    state.seen.clear()
    _, stats, _ = run(Independent(n=3, max_new_tokens=10), as_earlier(out))
    assert stats["tokens_sampled"] == stats["tokens"]
    assert sum(body["n"] for body in state.seen if body["chat"]) == 12


def test_text_without_ids_stands_where_there_are_more_samples_and_not_under_another_limit(run, state):
    state.gives_ids = False
    first, _, out = run(BEFORE)
    made, stats, _ = run(Independent(n=4, max_new_tokens=4), as_earlier(out))
    assert stats["kept"] == 12
    assert {place: row for place, row in made.items() if place[1] < 3} == first
    _, stats, _ = run(Independent(n=3, max_new_tokens=10), as_earlier(out))
    assert "kept" not in stats, "no row of another limit is taken up"


def test_a_prompt_that_is_refused_again_stays_an_error_among_the_others(run, state):
    """Only it is asked for, and a server that answers nothing looks like one that does not work: so all are asked again."""
    state.faults = ["fine", "400"]
    _, before, out = run(BEFORE, concurrency=1)
    assert before["errors"] == 3
    state.seen.clear()
    state.faults = ["400", "400"]
    _, stats, _ = run(BEFORE, as_earlier(out), concurrency=1)
    assert (stats["errors"], stats["tokens_sampled"]) == (3, stats["tokens"])
    assert [body["n"] for body in state.seen] == [3, 3, 3, 3, 3]
