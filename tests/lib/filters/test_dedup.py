from lib.filters.dedup import Dedup
from tests.filter_stage import completion, filtered

SAME = [
    completion("c", text="2+3=5", completion_ids=[1, 2]),
    completion("b", text=" 2+3=5\n", completion_ids=[1, 3]),
    completion("a", text="3+2=5", completion_ids=[1, 2]),
    completion("d", "q", text="2+3=5", completion_ids=[1, 2]),
]


def test_equal_texts_of_a_problem_leave_the_lowest_id(tmp_path):
    result = filtered(tmp_path, [Dedup()], SAME)
    assert result.kept == {"a", "b", "d"}
    assert result.dropped == {"c": "duplicate"}


def test_equal_token_ids_can_decide_instead(tmp_path):
    assert filtered(tmp_path, [Dedup(by="ids")], SAME).kept == {"a", "b", "d"}
    apart = [completion("a", completion_ids=[1, 23]), completion("b", completion_ids=[12, 3], text="text of a")]
    assert filtered(tmp_path / "apart", [Dedup(by="ids")], apart).kept == {"a", "b"}
