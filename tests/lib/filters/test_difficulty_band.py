import pytest

from lib.errors import UserError
from lib.filters.difficulty_band import DifficultyBand
from lib.filters.keep_correct import KeepCorrect
from tests.filter_stage import completion, filtered, problem, verdict

RIGHT = {"never": 0, "third": 1, "most": 2, "always": 3}
COMPLETIONS = [completion(f"{name}-{i}", name) for name in RIGHT for i in range(3)] + [
    completion("open-0", "open"),
    completion("bare-0", "bare"),
]
VERDICTS = [verdict(f"{name}-{i}", "correct" if i < n else "wrong") for name, n in RIGHT.items() for i in range(3)]
VERDICTS.append(verdict("open-0", "undecided"))


def reasons(result):
    return {name.partition("-")[0]: reason for name, reason in result.dropped.items()}


def problems_of(result):
    return {name.partition("-")[0] for name in result.kept}


def test_groups_that_all_succeed_or_all_fail_fall(tmp_path):
    result = filtered(tmp_path, [DifficultyBand()], COMPLETIONS, VERDICTS)
    assert problems_of(result) == {"third", "most"}
    assert reasons(result) == {"never": "too hard", "always": "too easy", "open": "no pass rate", "bare": "no pass rate"}


def test_the_ends_can_stay(tmp_path):
    result = filtered(tmp_path, [DifficultyBand(low=0, high=1 / 3, ends="kept")], COMPLETIONS, VERDICTS)
    assert problems_of(result) == {"never", "third"}
    assert reasons(result)["most"] == "too easy"


def test_the_rate_counts_what_earlier_filters_dropped(tmp_path):
    result = filtered(tmp_path, [KeepCorrect(), DifficultyBand()], COMPLETIONS, VERDICTS)
    assert result.kept == {"third-0", "most-0", "most-1"}


def test_undecided_completions_are_not_counted(tmp_path):
    completions = [completion(name) for name in "abc"]
    verdicts = [verdict("a"), verdict("b", "undecided"), verdict("c")]
    assert filtered(tmp_path, [DifficultyBand()], completions, verdicts).dropped == dict.fromkeys("abc", "too easy")


def test_the_problems_own_difficulty_can_be_the_measure(tmp_path):
    problems = [problem("easy", difficulty=0.1), problem("fair", difficulty=0.5), problem("hard", difficulty=0.9), problem("unknown")]
    completions = [completion(p["problem_id"], p["problem_id"]) for p in problems]
    result = filtered(tmp_path, [DifficultyBand(by="difficulty", low=0.2, high=0.8)], completions, problems=problems)
    assert result.kept == {"fair"}
    assert result.dropped == {"easy": "too easy", "hard": "too hard", "unknown": "no difficulty"}


def test_a_band_upside_down_is_refused():
    with pytest.raises(UserError, match=r"low 0.8 is above high 0.2"):
        DifficultyBand(low=0.8, high=0.2)
