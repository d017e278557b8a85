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


def alike(*texts):
    return [completion(f"c{i}", f"p{i % 2}", text=text) for i, text in enumerate(texts)]


def test_the_whole_table_can_be_compared(tmp_path):
    rows = alike("2+3=5", "2+3=5", "3+2=5")
    assert filtered(tmp_path / "problem", [Dedup()], rows).dropped == {}
    assert filtered(tmp_path / "table", [Dedup(across="table")], rows).dropped == {"c1": "duplicate"}


def test_plain_text_ignores_case_unicode_form_and_space_around_marks_and_no_mark(tmp_path):
    rows = alike("Caf\u00e9 (2 + 3)", "cafe\u0301  ( 2+3 )", "caf\u00e9 (2 - 3)", "caf\u00e9 (23)")
    assert filtered(tmp_path, [Dedup(by="plain", across="table")], rows).dropped == {"c1": "duplicate"}


def test_words_alone_ignore_punctuation(tmp_path):
    rows = alike("It's 1,000!", "its 1000", "it is 1000")
    assert filtered(tmp_path, [Dedup(by="words", across="table")], rows).dropped == {"c1": "duplicate"}
