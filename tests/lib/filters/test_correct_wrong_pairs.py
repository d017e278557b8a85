from collections import Counter

import pytest

from lib.filters.correct_wrong_pairs import CorrectWrongPairs
from tests.filter_stage import completion, filtered, verdict

OUTCOME = {"r": "correct", "w": "wrong", "u": "undecided"}


def judged(*names, score=None):
    return [completion(name) for name in names], [verdict(name, OUTCOME[name[0]], score=score) for name in names]


def times(result):
    return Counter(row["completion_id"] for row in result.rows("example_sources"))


@pytest.mark.parametrize(("n", "pairs"), [(1, 1), (3, 3), (4, 4), (100, 6)])
def test_up_to_n_pairs_use_each_completion_as_seldom_as_can_be(tmp_path, n, pairs):
    result = filtered(tmp_path, [CorrectWrongPairs(n=n)], *judged("r1", "r2", "w1", "w2", "w3"))
    assert result.stats["examples"] == pairs
    used = times(result)
    for side in "rw":
        counts = [used[name] for name in ("r1", "r2", "w1", "w2", "w3") if name[0] == side]
        assert max(counts) - min(counts) <= 1
    assert {row["strategy"] for row in result.rows("examples_pair")} == {"correct_wrong"}


def test_each_reason(tmp_path):
    completions, verdicts = judged("r1", "r2", "w1", "u1")
    alone = [completion("q", "q"), completion("bare")]
    result = filtered(tmp_path, [CorrectWrongPairs(n=1)], completions + alone, [*verdicts, verdict("q")])
    (spare,) = {"r1", "r2"} - result.kept
    assert result.dropped == {spare: "not chosen", "u1": "undecided", "bare": "no verdict", "q": "no rival"}


def test_the_margin_holds(tmp_path):
    completions = [completion(name) for name in ("r1", "r2", "w1")]
    verdicts = [verdict("r1", score=0.9), verdict("r2", score=0.4), verdict("w1", "wrong", score=0.3)]
    result = filtered(tmp_path, [CorrectWrongPairs(min_margin=0.5)], completions, verdicts)
    assert result.kept == {"r1", "w1"}


def test_rivals_answer_the_same_prompt(tmp_path):
    completions = [completion("r", prompt_ids=[1, 9]), completion("w")]
    assert filtered(tmp_path, [CorrectWrongPairs()], completions, [verdict("r"), verdict("w", "wrong")]).stats["examples"] == 0


def test_a_scorer_says_neither_correct_nor_wrong(tmp_path):
    result = filtered(tmp_path, [CorrectWrongPairs(verifier="s")], [completion("a")], [verdict("a", None, "s", score=1.0)])
    assert result.dropped == {"a": "scored"}


def test_the_draw_follows_the_seed_and_nothing_else(tmp_path):
    completions, verdicts = judged(*(f"{side}{i}" for side in "rw" for i in range(6)))
    kept = [filtered(tmp_path / str(s), [CorrectWrongPairs(n=2)], completions, verdicts, seed=s).kept for s in range(4)]
    assert filtered(tmp_path / "again", [CorrectWrongPairs(n=2)], completions[::-1], verdicts, seed=0, parts=2).kept == kept[0]
    assert len({frozenset(names) for names in kept}) > 1
