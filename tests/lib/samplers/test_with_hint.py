from pathlib import Path

import pytest

from lib import records, tables
from lib.engines.scripted import Scripted
from lib.errors import UserError
from lib.problems.countdown import Countdown as Problems
from lib.protocols import Machine, Sampler, Tables
from lib.samplers.hints import hint_in
from lib.samplers.independent import Independent
from lib.samplers.with_hint import WithHint
from lib.verifiers.countdown import Countdown

COUNTDOWN = {"template": "{prompt}#{hint}:", "ending": ":", "pattern": r"=(\d+)"}
PROBLEMS = (("solved", "1,5,8>45:", "8+1=9;9*5=45"), ("failed", "2,3,4>14:", "4*3=12;12+2=14"), ("bare", "2,2,5>20:", None))
SCRIPT = Scripted(answers=(("1,5,8>45:", ("0", "8+1=9;9*5=45")), ("2,3,4>14#12:", ("4*3=12;12+2=14",))), otherwise="no idea")
ENGINES = {"policy": SCRIPT.open(Path(), "model-1", Machine())}


def quiet(done, total):
    pass


def attempted(n=6):
    """Three problems with n attempts each, verified: one is solved at least once, two never, one of these has no answer."""
    common = {"task": "countdown", "source": "given", "born_round": 0}
    table = records.PROBLEMS.table(
        [{**common, "problem_id": name, "prompt": records.user_message(prompt), "answer": a} for name, prompt, a in PROBLEMS]
    )
    completions = Independent(n=n).sample(Tables(table), ENGINES, 0, quiet)
    return Tables(table, completions, Countdown().verify(Tables(table, completions), {}))


def hinted(given, **settings):
    sampler = WithHint(**{**COUNTDOWN, **settings})
    made = sampler.sample(given, ENGINES, 1, quiet)
    assert made.num_rows == sampler.owes(given)
    return tables.conform(made, records.COMPLETIONS).to_pylist()


def texts(row):
    return ENGINES["policy"].decode(row["prompt_ids"]), row["text"]


def with_verdicts(given, **changes):
    """The same tables with these columns changed in every verdict."""
    rows = [{**row, **changes} for row in given.verdicts.to_pylist()]
    return Tables(given.problems, given.completions, records.VERDICTS.table(rows))


def test_the_attempts_solve_only_one_problem():
    given = attempted()
    solved = dict(zip(given.verdicts["completion_id"].to_pylist(), given.verdicts["outcome"].to_pylist(), strict=True))
    outcomes = {(row["problem_id"], solved[row["completion_id"]]) for row in given.completions.to_pylist()}
    assert {problem for problem, outcome in outcomes if outcome == "correct"} == {"solved"}


def test_only_failed_problems_with_an_answer_are_asked_again():
    made = hinted(attempted(), n=3)
    assert [row["problem_id"] for row in made] == ["failed"] * 3
    assert {texts(row) for row in made} == {("2,3,4>14#12:", "4*3=12;12+2=14")}


def test_the_parent_is_the_first_failed_attempt_and_has_the_plain_prompt():
    given = attempted()
    shuffled = Tables(given.problems, given.completions.take(list(range(17, -1, -1))), given.verdicts)
    (row,) = hinted(shuffled, n=1)
    parent = next(attempt for attempt in given.completions.to_pylist() if attempt["completion_id"] == row["parent_id"])
    assert (parent["problem_id"], parent["sample_index"]) == ("failed", 0)
    assert texts(parent)[0] == "2,3,4>14:"
    assert (row["turn"], row["role"]) == (1, "policy")


def test_problems_that_nobody_tried_are_left_alone():
    given = attempted()
    assert hinted(Tables(given.problems)) == []


def test_without_any_correct_verdict_every_problem_with_an_answer_is_asked():
    for outcome in ("wrong", "undecided", None):
        made = hinted(with_verdicts(attempted(), outcome=outcome), n=1)
        assert [row["problem_id"] for row in made] == ["solved", "failed"]


def test_a_correct_step_does_not_solve_a_problem():
    made = hinted(with_verdicts(attempted(), step=0), n=1)
    assert [row["problem_id"] for row in made] == ["solved", "failed"]


def test_a_problem_whose_answer_does_not_match_the_pattern_is_skipped():
    assert hinted(attempted(), pattern=r"(\d{5})") == []


def test_the_plain_hint_is_the_whole_answer():
    given = attempted()
    (row,) = WithHint(n=1).sample(given, ENGINES, 1, quiet).to_pylist()
    assert texts(row)[0] == "2,3,4>14:\n\nThe answer is 4*3=12;12+2=14. Show how to get there."


def test_braces_in_a_prompt_or_hint_stay_as_they_are():
    given = attempted()
    rows = [{**row, "prompt": records.user_message("{hint} {x}:"), "answer": "{prompt}"} for row in given.problems.to_pylist()]
    braced = Tables(records.PROBLEMS.table(rows), given.completions, given.verdicts)
    made = hinted(braced, n=1, pattern="(.+)")
    assert {texts(row)[0] for row in made} == {"{hint} {x}#{prompt}:"}


def test_only_the_last_message_carries_the_hint():
    given = attempted()
    system = {"role": "system", "parts": [{"type": "text", "text": "Be brief. ", "sha256": None}]}
    rows = [{**row, "prompt": [system, *row["prompt"]]} for row in given.problems.to_pylist()]
    (made,) = hinted(Tables(records.PROBLEMS.table(rows), given.completions, given.verdicts), n=1)
    assert texts(made)[0] == "Be brief. 2,3,4>14#12:"


@pytest.mark.parametrize(
    ("bad", "message"),
    [({"template": "{prompt}"}, "shows no hint"), ({"pattern": "="}, "has no group"), ({"pattern": "(="}, "no regular expression")],
)
def test_settings_that_give_no_hint_are_refused(bad, message):
    with pytest.raises(UserError, match=message):
        WithHint(**bad)


def test_countdowns_own_hint_agrees_with_the_pattern():
    answers = Problems(numbers=4).problems("train", 50, seed=0)["answer"].to_pylist()
    assert [hint_in(answer, COUNTDOWN["pattern"]) for answer in answers] == [Problems().hint(answer) for answer in answers]


def test_it_is_a_sampler():
    assert isinstance(WithHint(), Sampler)
