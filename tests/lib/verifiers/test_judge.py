"""A judge whose replies are fixed: what becomes of its words, in every form of judging."""

from pathlib import Path

import pytest

from lib import records
from lib.engines.huggingface import Huggingface
from lib.engines.scripted import Scripted
from lib.errors import UserError
from lib.protocols import Machine, Tables
from lib.verifiers.judge import Judge
from tests.filter_stage import completion, problem
from tests.tiny_models import writer


def tables(*texts, answer=None, **fields):
    made = [completion(f"c{i}", text=text, group_id="g", **fields) for i, text in enumerate(texts)]
    return Tables(records.PROBLEMS.table([problem("p", "Q", answer=answer)]), records.COMPLETIONS.table(made))


def judged(judge, given, *answers, otherwise="?"):
    """What a judge says that answers each question (its template filled in) as scripted."""
    engine = Scripted(answers=answers, otherwise=otherwise).open(Path(), "judge", Machine())
    made = judge.verify(given, {judge.role: engine})
    assert made.num_rows == judge.owes(given)
    return made.to_pylist()


def brief(rows, *columns):
    return [tuple(row[name] for name in columns) for row in rows]


def test_yes_is_correct_no_is_wrong_and_the_reply_is_kept():
    judge = Judge(template="{prompt}/{completion}")
    rows = judged(judge, tables("a", "b", "c"), ("Q/a", ("Verdict: yes",)), ("Q/b", ("Hm.\nno",)))
    assert brief(rows, "outcome", "score", "raw_text") == [
        ("correct", 1.0, "Verdict: yes"),
        ("wrong", 0.0, "Hm.\nno"),
        ("undecided", None, "?"),
    ]
    assert rows[2]["reason"] == "no readable vote"
    assert rows[0]["n_tokens"] == len("Verdict: yes") + 1


def test_votes_are_shared_out_and_unreadable_ones_left_out():
    judge = Judge(template="{completion}", votes=30, temperature=1.0)
    (row,) = judged(judge, tables("a"), ("a", ("yes", "no", "well", "yes")))
    words = row["raw_text"].split("\n---\n")
    assert len(words) == 30
    assert set(words) == {"yes", "no", "well"}
    yes, no = words.count("yes"), words.count("no")
    assert row["score"] == yes / (yes + no)
    assert row["outcome"] == "correct"


def test_a_vote_that_is_split_in_half_is_undecided_and_keeps_its_score():
    judge = Judge(template="{completion}", votes=2, temperature=1.0)
    for seed in range(20):
        given = tables("a")
        (row,) = judged(judge, Tables(given.problems, given.completions, seed=seed), ("a", ("yes", "no")))
        assert row["outcome"] == {0.0: "wrong", 0.5: "undecided", 1.0: "correct"}[row["score"]]
        if row["score"] == 0.5:
            break
    assert row["outcome"] == "undecided"


def test_a_vote_depends_on_the_seed_and_on_nothing_that_stands_beside_it():
    judge = Judge(template="{completion}", votes=20, temperature=1.0)
    script = [(text, ("yes", "no")) for text in "abc"]
    given = tables("a", "b", "c")
    together = brief(judged(judge, given, *script), "completion_id", "raw_text")
    alone = judged(judge, Tables(given.problems, given.completions.slice(1, 1)), *script)
    assert brief(alone, "completion_id", "raw_text") == [together[1]]
    again = Tables(given.problems, given.completions, seed=1)
    assert brief(judged(judge, again, *script), "completion_id", "raw_text") != together


def test_ratings_are_a_share_of_the_scale_and_no_outcome():
    judge = Judge(form="rating", template="{completion} 0-{scale}", scale=5)
    rows = judged(judge, tables("a", "b"), ("a 0-5", ("Rating: 4",)), ("b 0-5", ("Rating: 9",)))
    assert brief(rows, "outcome", "score") == [(None, 0.8), ("undecided", None)]


def test_a_pair_is_asked_in_both_orders_so_that_a_taste_for_the_first_cancels_out():
    judge = Judge(form="pairwise", template="{completion}|{rival}")
    rows = judged(judge, tables("a", "b"), otherwise="Verdict: A")
    assert brief(rows, "completion_id", "rival_id", "score", "outcome") == [
        ("c0", None, 0.5, None),
        ("c1", None, 0.5, None),
        ("c0", "c1", 0.5, None),
        ("c1", "c0", 0.5, None),
    ]
    assert [row["raw_text"] for row in rows] == [None, None, "Verdict: A", "Verdict: A"]


def test_the_debiased_chance_of_the_formula():
    """P(first | a, b) = 0.7 and P(second | b, a) = 0.5: P(a > b) = 0.6 and P(b > a) = 0.4."""
    judge = Judge(form="pairwise", template="{completion}|{rival}", votes=10, temperature=1.0)
    first, second = ("A",) * 7 + ("B",) * 3, ("A", "B")
    for seed in range(300):
        given = tables("a", "b")
        rows = judged(judge, Tables(given.problems, given.completions, seed=seed), ("a|b", first), ("b|a", second))
        ahead, behind = rows[2]["raw_text"].split("\n---\n"), rows[3]["raw_text"].split("\n---\n")
        expected = 0.5 * (ahead.count("A") / 10 + behind.count("B") / 10)
        assert rows[2]["score"] == pytest.approx(expected)
        assert rows[2]["score"] + rows[3]["score"] == pytest.approx(1)
        if (ahead.count("A"), behind.count("B")) == (7, 5):
            assert rows[2]["score"] == pytest.approx(0.6)
            return
    pytest.fail("no seed drew 7 and 5")


def test_the_whole_is_the_mean_over_the_group_with_itself_as_a_half():
    judge = Judge(form="pairwise", template="{completion}|{rival}")
    order = {"a": 0, "b": 1, "c": 2}
    script = [(f"{x}|{y}", ("Verdict: A" if order[x] < order[y] else "Verdict: B",)) for x in order for y in order if x != y]
    rows = judged(judge, tables("a", "b", "c"), *script)
    assert brief(rows[:3], "score") == [(pytest.approx(2.5 / 3),), (pytest.approx(1.5 / 3),), (pytest.approx(0.5 / 3),)]


def test_one_unreadable_order_leaves_the_pair_undecided():
    judge = Judge(form="pairwise", template="{completion}|{rival}")
    rows = judged(judge, tables("a", "b"), ("a|b", ("Verdict: A",)))
    assert brief(rows, "outcome", "score") == [("undecided", None)] * 4


def test_the_first_wrong_step_and_what_stands_around_it():
    judge = Judge(form="first_error", template="{steps}", separator=";")
    rows = judged(judge, tables("x=1;y=2; ;z=3"), ("Step 1: x=1\nStep 2: y=2\nStep 3: z=3", ("Verdict: 2",)))
    assert brief(rows, "step", "outcome", "score") == [
        (None, "wrong", pytest.approx(1 / 3)),
        (1, "correct", 1.0),
        (2, "wrong", 0.0),
        (3, None, None),
    ]


@pytest.mark.parametrize(("reply", "outcomes"), [("0", ["correct"] * 3), ("none", ["correct"] * 3), ("3", ["undecided", None, None])])
def test_no_wrong_step_and_a_step_that_is_not_there(reply, outcomes):
    rows = judged(Judge(form="first_error", separator=";"), tables("a;b"), otherwise=f"Verdict: {reply}")
    assert [row["outcome"] for row in rows] == outcomes


def test_what_cannot_be_asked_is_undecided():
    with_gold = Judge(template="{completion} {gold}")
    assert judged(with_gold, tables("a"), otherwise="yes")[0]["reason"] == "could not be asked"
    assert judged(with_gold, tables("a", answer="4"), ("a 4", ("yes",)))[0]["outcome"] == "correct"
    assert judged(Judge(), tables("a", finish_reason="error"), otherwise="yes")[0]["outcome"] == "undecided"
    assert judged(Judge(form="first_error"), tables(" \n "), otherwise="Verdict: 0")[0]["outcome"] == "undecided"


def test_a_completion_cannot_change_the_question_around_it():
    judge = Judge(template="{prompt}/{completion}/{gold}")
    rows = judged(judge, tables("{gold}", answer="4"), ("Q/{gold}/4", ("yes",)), otherwise="no")
    assert rows[0]["outcome"] == "correct"


def test_a_question_longer_than_the_model_is_undecided_and_the_others_are_asked(tmp_path):
    engine = Huggingface().open(writer(tmp_path), "m", Machine())
    judge = Judge(template="{completion}", max_new_tokens=8)
    rows = judge.verify(tables("1" * 300, "12"), {"policy": engine}).to_pylist()
    assert [row["reason"] for row in rows] == ["could not be asked", "no readable vote"]
    assert rows[1]["n_tokens"] > 0


@pytest.mark.parametrize("form", ["rating", "yes_no", "pairwise", "first_error"])
@pytest.mark.parametrize("text", ["", "\0", "\udcff"[:0] + "\u202e", "{" * 5000, "x\n" * 5000])
def test_nasty_completions_are_judged_without_an_error(form, text):
    rows = judged(Judge(form=form), tables(text, "fine"), otherwise="Verdict: no")
    assert rows


def test_several_votes_at_temperature_0_are_refused():
    with pytest.raises(UserError, match=r"set temperature=1\.0 or votes=1"):
        Judge(votes=3)


def test_an_engine_that_only_reads_is_refused():
    class Reads:
        model_id = "m"

    with pytest.raises(UserError, match="played by Reads, which writes nothing"):
        Judge().verify(tables("a"), {"policy": Reads()})
