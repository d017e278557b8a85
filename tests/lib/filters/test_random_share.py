from lib.filters.cap_per_problem import CapPerProblem
from lib.filters.dedup import Dedup
from lib.filters.keep_correct import KeepCorrect
from lib.filters.random_share import RandomShare
from tests.filter_stage import completion, filtered, verdict

RIGHT = {"p": 3, "q": 0, "r": 6}
ROWS = [completion(f"{problem}{i}", problem) for problem in RIGHT for i in range(6)]
VERDICTS = [
    verdict(row["completion_id"], "correct" if int(row["completion_id"][1]) < RIGHT[row["problem_id"]] else "wrong") for row in ROWS
]


def counts(names):
    return {problem: sum(name[0] == problem for name in names) for problem in RIGHT}


def test_it_keeps_as_many_of_a_problem_as_the_filter_would_have(tmp_path):
    share = filtered(tmp_path / "share", [RandomShare(most=4)], ROWS, VERDICTS)
    kept = filtered(tmp_path / "kept", [KeepCorrect(), Dedup(), CapPerProblem(n=4)], ROWS, VERDICTS)
    assert counts(share.kept) == counts(kept.kept) == {"p": 3, "q": 0, "r": 4}
    assert set(share.dropped.values()) == {"not drawn"}


def test_equal_correct_texts_count_once(tmp_path):
    rows = [row | {"text": "8+1=9" if i else " 8+1=9 "} for i, row in enumerate(ROWS[:6])]
    assert len(filtered(tmp_path, [RandomShare()], rows, VERDICTS[:6]).kept) == 1


def test_which_are_right_does_not_say_which_are_kept(tmp_path):
    turned = [verdict(row["completion_id"], "correct" if int(row["completion_id"][1]) >= 3 else "wrong") for row in ROWS[:6]]
    one = filtered(tmp_path / "one", [RandomShare()], ROWS[:6], VERDICTS[:6]).kept
    other = filtered(tmp_path / "other", [RandomShare()], ROWS[:6], turned).kept
    assert one == other
    assert len(one) == 3


def test_the_seed_draws(tmp_path):
    kept = {frozenset(filtered(tmp_path / str(seed), [RandomShare()], ROWS[:6], VERDICTS[:6], seed=seed).kept) for seed in range(5)}
    assert len(kept) > 1


def test_behind_dedup_it_keeps_different_texts_and_as_many(tmp_path):
    rows = [row | {"text": "9-8=1" if i > 1 else f"8+1={i}"} for i, row in enumerate(ROWS[:6])]
    said = [verdict(row["completion_id"], "wrong" if i > 1 else "correct") for i, row in enumerate(rows)]
    texts = {row["completion_id"]: row["text"] for row in rows}
    drawn = [
        [texts[name] for name in filtered(tmp_path / str(seed), [Dedup(), RandomShare()], rows, said, seed=seed).kept] for seed in range(5)
    ]
    assert [len(set(found)) for found in drawn] == [len(found) for found in drawn] == [2] * 5
