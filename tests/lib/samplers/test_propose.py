from pathlib import Path

from lib import records, tables
from lib.engines.scripted import Scripted
from lib.protocols import Machine, Sampler, Tables
from lib.samplers.propose import TEMPLATE, Propose
from tests.filter_stage import problem

PROBLEMS = records.PROBLEMS.table([problem("q", "1,2>3:"), problem("p", "1,5,8>45:")])


def rows(sampler, answers=((">:", ("1,2>3", "1,3>4", "1,4>5")),)):
    engine = Scripted(answers=answers, otherwise="x").open(Path(), "m", Machine())
    made = sampler.sample(Tables(PROBLEMS), {"proposer": engine}, 0, lambda done, total: None)
    assert made.num_rows == sampler.owes(Tables(PROBLEMS))
    return engine, tables.conform(made, records.COMPLETIONS).to_pylist()


def test_each_context_problem_gets_n_proposals_by_the_proposer():
    engine, made = rows(Propose(n=3, template=">:"))
    assert [row["problem_id"] for row in made] == ["p"] * 3 + ["q"] * 3
    assert {row["role"] for row in made} == {"proposer"}
    assert {engine.decode(row["prompt_ids"]) for row in made} == {">:"}
    assert len({row["completion_id"] for row in made}) == 6
    assert len({row["group_id"] for row in made}) == 2


def test_the_context_problem_stands_in_the_prompt():
    engine, made = rows(Propose(n=1))
    assert engine.decode(made[0]["prompt_ids"]) == TEMPLATE.replace("{prompt}", "1,5,8>45:")


def test_only_the_first_contexts_are_shown():
    assert [row["problem_id"] for row in rows(Propose(n=2, contexts=1))[1]] == ["p", "p"]


def test_it_is_a_sampler():
    assert isinstance(Propose(), Sampler)
