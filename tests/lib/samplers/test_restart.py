from pathlib import Path

import pytest

from lib import records, tables
from lib.engines.scripted import Scripted
from lib.protocols import Machine, Sampler, Tables
from lib.samplers.restart import Restart
from tests.filter_stage import completion, problem, verdict

PROBLEMS = records.PROBLEMS.table([problem("p", "1,5,8>45:")])
ENGINE = Scripted(answers=(("1,5,8>45:", ("8+1=9;9*5=45",)),)).open(Path(), "m", Machine())
WRONG = "8*5=40;40+5=45"


def attempt(name="a", text=WRONG, **fields):
    ids = ENGINE.encode(text)
    prompt = ENGINE.render([{"role": "user", "content": "1,5,8>45:"}])
    return completion(name, text=text, prompt_ids=prompt, completion_ids=ids, logprobs=[-0.25] * len(ids), **fields)


def rows(sampler, completions, verdicts=()):
    over = Tables(PROBLEMS, records.COMPLETIONS.table(completions), records.VERDICTS.table(list(verdicts)))
    made = sampler.sample(over, {"policy": ENGINE}, 0, lambda done, total: None)
    assert made.num_rows == sampler.owes(over)
    return tables.conform(made, records.COMPLETIONS).to_pylist()


def test_a_share_of_the_tokens_is_kept_with_its_log_probabilities_and_masked():
    made = rows(Restart(n=2, share=0.5), [attempt()])  # 15 tokens with the end, 7 of which are kept
    assert [row["text"] for row in made] == ["8*5=40;9*5=45"[:7] + "8+1=9;9*5=45"[7:]] * 2
    assert [row["sample_index"] for row in made] == [0, 1]
    first = made[0]
    assert first["completion_ids"] == [*ENGINE.encode(WRONG)[:7], *ENGINE.encode("8+1=9;9*5=45")[7:]]
    assert first["logprobs"][:7] == [-0.25] * 7
    assert first["logprobs"][7] == pytest.approx(-0.6931, abs=1e-4)
    assert first["loss_mask"] == [0] * 7 + [1] * 6
    assert (first["parent_id"], first["turn"], first["finish_reason"]) == ("a", 1, "stop")


def test_the_prefix_can_end_before_the_first_wrong_step():
    steps = [verdict("a", None, "process", step=1, score=0.9), verdict("a", "wrong", "judge", step=2)]
    made = rows(Restart(by="first_wrong", n=1, learn_prefix=True), [attempt(), attempt("b", sample_index=1)], steps)
    assert [row["parent_id"] for row in made] == ["a"]
    assert made[0]["text"].startswith("8*5=40;")
    assert made[0]["loss_mask"] == [1] * 13
    none_kept = rows(Restart(by="first_wrong", n=1), [attempt()], [verdict("a", None, "process", step=1, score=0.1)])
    assert none_kept[0]["text"] == "8+1=9;9*5=45"
    assert set(none_kept[0]["loss_mask"]) == {1}


def test_only_wrong_attempts_begin_again_where_asked():
    made = rows(Restart(of="wrong", n=1), [attempt(), attempt("b", sample_index=1)], [verdict("a"), verdict("b", "wrong")])
    assert [row["parent_id"] for row in made] == ["b"]


def test_another_stage_of_the_limit_counts_the_prefix():
    made = rows(Restart(share=0.5, n=1, max_new_tokens=7), [attempt()])
    assert (len(made[0]["completion_ids"]), made[0]["finish_reason"], set(made[0]["loss_mask"])) == (7, "length", {0})


def test_it_is_a_sampler():
    assert isinstance(Restart(), Sampler)
