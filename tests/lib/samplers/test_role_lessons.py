from pathlib import Path

import pytest

from lib import countdown_roles as roles
from lib import records, seeds, tables
from lib.countdown_steps import first_wrong, question
from lib.engines.scripted import Scripted
from lib.problems.countdown import Countdown
from lib.protocols import Machine, Sampler, Tables
from lib.samplers.independent import Independent
from lib.samplers.reference_solutions import ReferenceSolutions
from lib.samplers.role_lessons import RoleLessons

WRONG = "8*5=40;40+5=45"
ENGINE = Scripted(otherwise=WRONG).open(Path(), "model-1", Machine())
SETTINGS = {"solve": 1, "check": 3, "fix": 2, "propose_share": 1.0, "play_share": 1.0}


@pytest.fixture(scope="module")
def problems():
    return Countdown().problems("train", 100, seed=0)


def lessons(given, **settings):
    """(prompt, reply) of every lesson."""
    sampler = RoleLessons(**{**SETTINGS, **settings})
    table = tables.conform(sampler.sample(given, {"policy": ENGINE}, 0, lambda done, total: None), records.COMPLETIONS)
    assert table.num_rows == sampler.owes(given)
    assert len(set(table["completion_id"].to_pylist())) == table.num_rows
    return [(ENGINE.decode(row["prompt_ids"]), row["text"], row) for row in table.to_pylist()]


def parts(prompt):
    """The problem, the attempt and the check that a prompt shows."""
    first, second, last = prompt.split(":")
    assert last == ""
    problem, attempt = (second, first) if ">" in second else (first, second)
    attempt, _, digit = attempt.partition("#")
    return *question(f"{problem}:"), attempt, digit


def test_each_role_gets_its_lessons(problems):
    made = lessons(Tables(problems), fix=0, invented=0)
    asked = [prompt for prompt, _, _ in made]
    assert sum(prompt.endswith("#:") for prompt in asked) == 400  # three invented ones, and the worked solution
    assert sum(prompt == roles.PROPOSE for prompt in asked) == 100
    assert sum(roles.left_in(prompt) is not None for prompt in asked) == 100
    assert sum(question(prompt) is not None for prompt in asked) == 100


def test_every_check_is_exact_and_every_fix_follows_one(problems):
    for prompt, reply, _ in lessons(Tables(problems)):
        if prompt.count(":") == 2:
            numbers, target, attempt, digit = parts(prompt)
            wrong = first_wrong(attempt, numbers, target)
            if digit:
                assert wrong == int(digit) > 0
                assert first_wrong(reply, numbers, target) == 0
            else:
                assert roles.read_check(reply) == wrong


def test_invented_problems_bring_checks_and_fixes_that_keep_the_first_step(problems):
    given = {question(prompt) for prompt, _, _ in lessons(Tables(problems), invented=0, solve=1)}
    made = lessons(Tables(problems), check=0, fix=0, invented=9, propose_share=0.0, play_share=0.0)
    about = [(parts(prompt), reply) for prompt, reply, _ in made if prompt.count(":") == 2]
    fresh = [(asked, reply) for asked, reply in about if asked[:2] not in given]
    checks = [reply for (_, _, _, digit), reply in fresh if not digit]
    assert len(checks) == 300
    assert {*checks} == {"0", "1", "2"}
    kept = [(attempt, reply) for (_, _, attempt, digit), reply in fresh if digit == "2"]
    assert len(kept) > 250
    assert all(attempt.split(";")[0] == reply.split(";")[0] for attempt, reply in kept)


def test_solutions_are_no_second_rows_of_those_that_another_sampler_wrote(problems):
    written = ReferenceSolutions().sample(Tables(problems), {"policy": ENGINE}, 0, lambda done, total: None)
    ids = {row["completion_id"] for _, _, row in lessons(Tables(problems), solve=2)}
    assert not ids & {*written["completion_id"].to_pylist()}


def test_proposals_are_problems_and_moves_are_legal(problems):
    left = set()
    for prompt, reply, _ in lessons(Tables(problems)):
        if prompt == roles.PROPOSE:
            assert not isinstance(roles.read_proposal(reply), str)
        elif (pile := roles.left_in(prompt)) is not None:
            assert roles.read_move(reply, pile) is not None
            left.add(pile)
    assert left <= set(range(1, roles.PILE + 1))
    assert len(left) > 15


def test_a_share_of_the_problems_brings_proposals_and_moves(problems):
    asked = [prompt for prompt, _, _ in lessons(Tables(problems), propose_share=0.3, play_share=0.0)]
    assert 15 < sum(prompt == roles.PROPOSE for prompt in asked) < 45
    assert not any(roles.left_in(prompt) for prompt in asked)


def test_the_attempts_that_were_left_are_checked_and_fixed_once_each(problems):
    attempts = Independent(n=3, max_new_tokens=30).sample(Tables(problems), {"policy": ENGINE}, 0, lambda done, total: None)
    made = lessons(Tables(problems, attempts), check=0, fix=0)
    about = [(prompt, reply, row) for prompt, reply, row in made if row["parent_id"] is not None]
    assert sum(prompt.endswith("#:") for prompt, _, _ in about) == 100  # three alike are one lesson
    assert len(about) == 200
    text = {row["completion_id"]: row["text"] for row in attempts.to_pylist()}
    assert {text[row["parent_id"]] for _, _, row in about} == {WRONG}
    assert all(row["turn"] == 1 for _, _, row in about)


def test_lessons_do_not_depend_on_the_other_problems(problems):
    many = {row["completion_id"] for _, _, row in lessons(Tables(problems))}
    few = {row["completion_id"] for _, _, row in lessons(Tables(problems.slice(40, 5)))}
    assert few < many


def test_the_rows_do_not_pass_for_sampled_ones(problems):
    for _, _, row in lessons(Tables(problems.slice(0, 3))):
        assert (row["role"], row["ids_source"], row["finish_reason"], row["logprobs"]) == ("reference", "retokenised", "stop", [])
        assert row["completion_ids"] == ENGINE.encode(row["text"])


def test_problems_of_other_kinds_have_no_lessons():
    other = [{"problem_id": seeds.short_id(i), "task": "t", "source": "given", "born_round": 0, "answer": "4"} for i in range(2)]
    rows = [{**row, "prompt": records.user_message("What is 2 + 2?")} for row in other]
    assert lessons(Tables(records.PROBLEMS.table(rows))) == []


def test_it_is_a_sampler():
    assert isinstance(RoleLessons(), Sampler)
