import json
from itertools import combinations

import pytest

from lib.errors import UserError
from lib.filters import near_dedup
from lib.filters.near_dedup import NearDedup
from lib.filters.resemblance import rouge_l
from tests.filter_stage import completion, filtered

TEN = "one two three four five six seven eight nine ten"
ROWS = [
    completion("a", text=TEN),
    completion("b", text=TEN.replace("five", "5")),  # ROUGE-L 9/10, trigrams 5 of 11
    completion("c", text="Ten nine eight seven six five four three two one."),
    completion("d", "q", text=TEN.upper() + "!"),
    completion("e", text=""),
    completion("f", text="..."),
]


def test_rouge_l_drops_what_is_too_like_an_earlier_one_of_its_problem(tmp_path):
    result = filtered(tmp_path, [NearDedup()], ROWS)
    assert result.dropped == {"b": "near duplicate", "f": "near duplicate"}
    assert filtered(tmp_path / "strict", [NearDedup(threshold=0.95)], ROWS).dropped == {"f": "near duplicate"}
    assert filtered(tmp_path / "equal", [NearDedup(threshold=0.9)], ROWS).dropped == result.dropped


def test_the_whole_table_can_be_compared(tmp_path):
    assert set(filtered(tmp_path, [NearDedup(across="table")], ROWS).dropped) == {"b", "d", "f"}


def test_jaccard_looks_at_runs_of_words(tmp_path):
    assert set(filtered(tmp_path, [NearDedup(measure="jaccard")], ROWS).dropped) == {"f"}
    assert set(filtered(tmp_path / "low", [NearDedup(measure="jaccard", threshold=5 / 11)], ROWS).dropped) == {"b", "f"}


def test_the_order_of_the_rows_does_not_matter(tmp_path):
    one = filtered(tmp_path / "one", [NearDedup(across="table")], ROWS)
    assert filtered(tmp_path / "other", [NearDedup(across="table")], ROWS[::-1], parts=3).dropped == one.dropped


def test_hostile_texts_are_compared_in_time(tmp_path):
    rows = [completion(f"c{i}", text=f"{i} " + "a b " * 200_000) for i in range(3)] + [completion("d", text="x" * 10**6 + "\0\u202e")]
    assert set(filtered(tmp_path, [NearDedup()], rows).dropped) == {"c1", "c2"}


def test_too_many_to_compare_names_the_other_filter(tmp_path, monkeypatch):
    monkeypatch.setattr(near_dedup, "MOST_KEPT", 2)
    with pytest.raises(UserError, match="use MinhashDedup"):
        filtered(tmp_path, [NearDedup()], [completion(name, text=name * 5) for name in "xyz"])


def test_the_seeds_of_self_instruct_keep_their_distance(tmp_path, data):
    tasks = [json.loads(line)["instruction"] for line in (data / "self_instruct" / "seed_tasks.jsonl").read_text().splitlines()]
    rows = [completion(f"{i:03}", text=task) for i, task in enumerate([*tasks, *tasks[:20]])]
    result = filtered(tmp_path, [NearDedup(across="table")], rows)
    assert {f"{i:03}" for i in range(175, 195)} <= set(result.dropped)
    kept = [row["text"].lower().split() for row in rows if row["completion_id"] in result.kept]
    assert max(rouge_l(a, b) for a, b in combinations(kept, 2)) < 0.8  # these words keep their punctuation
