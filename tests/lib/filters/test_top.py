from lib.filters.top import Top
from tests.filter_stage import completion, filtered, verdict

COMPLETIONS = [completion(n, n[0]) for n in ("p1", "p2", "p3", "p4", "q1", "q2", "q3")]
VERDICTS = [
    verdict("p1", "wrong", score=0.1),
    verdict("p2", score=0.9),
    verdict("p3", score=0.5),
    verdict("p4", "undecided", score=1.0),
    verdict("q1"),
    *(verdict(name, None, "scorer", score=score) for name, score in (("p1", 4.0), ("p2", -4.0))),
]


def test_the_highest_scores_of_a_problem_stay(tmp_path):
    result = filtered(tmp_path, [Top(n=2)], COMPLETIONS, VERDICTS)
    assert result.kept == {"p2", "p3", "q1"}
    assert result.dropped == {"p1": "below the top", "p4": "undecided", "q2": "no verdict", "q3": "no verdict"}


def test_a_scorer_can_rank(tmp_path):
    result = filtered(tmp_path, [Top(verifier="scorer")], COMPLETIONS, VERDICTS)
    assert result.kept == {"p1"}
    assert result.dropped["p2"] == "below the top"


def test_groups_can_compete_apart(tmp_path):
    apart = [c | {"group_id": c["completion_id"]} for c in COMPLETIONS]
    assert filtered(tmp_path, [Top(per="group")], apart, VERDICTS).kept == {"p1", "p2", "p3", "q1"}


def test_ties_fall_by_the_seed_and_nothing_else(tmp_path):
    tied = [completion(f"{p}{i}", p) for p in "pq" for i in range(6)]
    verdicts = [verdict(c["completion_id"]) for c in tied]
    kept = [filtered(tmp_path / str(seed), [Top(n=2)], tied, verdicts, seed=seed).kept for seed in range(4)]
    assert filtered(tmp_path / "again", [Top(n=2)], tied[::-1], verdicts, seed=0, parts=3).kept == kept[0]
    assert len({frozenset(names) for names in kept}) > 1
