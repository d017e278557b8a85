from lib.filters.cap_per_problem import CapPerProblem
from tests.filter_stage import completion, filtered

MANY = [completion(f"{problem}{i}", problem) for problem in "pq" for i in range(6)] + [completion("r0", "r")]


def test_at_most_n_of_a_problem_stay(tmp_path):
    result = filtered(tmp_path, [CapPerProblem(n=2)], MANY)
    assert sorted(name[0] for name in result.kept) == ["p", "p", "q", "q", "r"]
    assert set(result.dropped.values()) == {"over the cap"}


def test_the_draw_follows_the_seed_and_nothing_else(tmp_path):
    kept = [filtered(tmp_path / str(seed), [CapPerProblem(n=2)], MANY, seed=seed).kept for seed in range(4)]
    again = filtered(tmp_path / "again", [CapPerProblem(n=2)], MANY[::-1], seed=0, parts=3).kept
    without_q = filtered(tmp_path / "less", [CapPerProblem(n=2)], [c for c in MANY if c["problem_id"] != "q"], seed=0).kept
    assert again == kept[0]
    assert without_q == {name for name in kept[0] if name[0] != "q"}
    assert len({frozenset(names) for names in kept}) > 1
