from lib.filters.longest_prefix import LongestPrefix
from tests.filter_stage import completion, filtered


def test_of_the_beginnings_of_one_completion_the_longest_stays(tmp_path):
    rows = [completion(f"a{n}", parent_id="a", step=n, completion_ids=[7] * n) for n in (1, 2, 3)]
    rows += [completion("b1", parent_id="b", step=1), completion("whole"), completion("other", parent_id="a")]
    result = filtered(tmp_path, [LongestPrefix()], rows)
    assert result.kept == {"a3", "b1", "whole", "other"}
    assert result.dropped == {"a1": "shorter", "a2": "shorter"}


def test_a_beginning_with_which_another_solution_of_the_problem_begins_falls(tmp_path):
    rows = [completion("a1", parent_id="a", step=1, completion_ids=[7, 8]), completion("b1", parent_id="b", step=1, completion_ids=[7, 9])]
    rows += [completion("c1", parent_id="c", step=1, completion_ids=[7, 9, 5]), completion("whole", completion_ids=[7, 8, 2])]
    rows += [completion("d1", "q", parent_id="d", step=1, completion_ids=[7, 8]), completion("short", completion_ids=[7])]
    result = filtered(tmp_path, [LongestPrefix()], rows)
    assert result.kept == {"c1", "whole", "d1", "short"}
    assert result.dropped == {"a1": "shorter", "b1": "shorter"}


def test_a_beginning_of_another_prompts_solution_stays(tmp_path):
    rows = [completion("a1", parent_id="a", step=1, completion_ids=[7]), completion("whole", completion_ids=[7, 8], prompt_ids=[3])]
    assert filtered(tmp_path, [LongestPrefix()], rows).kept == {"a1", "whole"}
