from collections import Counter

from lib.filters.balance import Balance
from tests.filter_stage import completion, filtered, problem

PROBLEMS = [problem("a1", category="a"), problem("a2", category="a"), problem("b1", category="b"), problem("none")]
COUNTS = {"a1": 6, "a2": 2, "b1": 3, "none": 4}
COMPLETIONS = [completion(f"{name}-{i}", name) for name, n in COUNTS.items() for i in range(n)]


def counts(result):
    return Counter(name.partition("-")[0] for name in result.kept)


def test_each_category_has_as_many_as_the_smallest_and_its_problems_take_turns(tmp_path):
    result = filtered(tmp_path, [Balance()], COMPLETIONS, problems=PROBLEMS)
    found = counts(result)
    assert (found["a1"] + found["a2"], found["b1"], found["none"]) == (3, 3, 3)
    assert min(found["a1"], found["a2"]) == 1
    assert set(result.dropped.values()) == {"over the quota"}


def test_a_quota_can_be_given(tmp_path):
    found = counts(filtered(tmp_path, [Balance(quota=4)], COMPLETIONS, problems=PROBLEMS))
    assert found == {"a1": 2, "a2": 2, "b1": 3, "none": 4}


def test_problems_can_be_balanced(tmp_path):
    assert set(counts(filtered(tmp_path, [Balance(by="problem")], COMPLETIONS, problems=PROBLEMS)).values()) == {2}


def test_the_draw_follows_the_seed_and_nothing_else(tmp_path):
    kept = [filtered(tmp_path / str(seed), [Balance()], COMPLETIONS, problems=PROBLEMS, seed=seed).kept for seed in range(3)]
    assert filtered(tmp_path / "again", [Balance()], COMPLETIONS[::-1], problems=PROBLEMS, seed=0, parts=2).kept == kept[0]
    assert len({frozenset(names) for names in kept}) > 1
