import math

import pytest

from lib.errors import UserError
from lib.evaluators.exploration import Exploration
from lib.samplers.independent import Independent
from tests.evaluated import drawn, given, items, values
from tests.filter_stage import completion, verdict


def test_variety_is_counted_problem_by_problem():
    texts = {"a": ["1+2", "1+2", "2+1", "4"], "b": ["5", "5.0", "x", "5"]}
    tables = drawn(texts=texts, a="cccw", b="wwww")
    exploration = Exploration(k=2, s=(1, 2), sampler=Independent(n=4), told="text")
    assert items(exploration, tables, "distinct_correct_texts") == {"a": 2.0, "b": 0.0}
    found = items(exploration, tables, "answer_entropy")
    assert found["a"] == pytest.approx(1.5 * math.log(2))
    assert items(exploration, tables, "pass_at_2_1_distinct") == {"a": 1.0, "b": 0.0}
    # of the 6 pairs of a, two hold both texts
    assert items(exploration, tables, "pass_at_2_2_distinct")["a"] == pytest.approx(2 / 6)
    assert items(exploration, tables, "mixed_share") == {"a": 1.0, "b": 0.0}


def test_final_answers_are_told_apart_by_value():
    tables = drawn(texts={"b": ["so 5", "5.0", "x", r"\boxed{5}"]}, b="wwww")
    assert values(Exploration(), tables)["answer_entropy"] == 0.0


def test_token_entropy_weighs_every_token_alike():
    rows = [
        completion("1", entropy_mean=1.0, completion_ids=[1, 2, 3]),
        completion("2", entropy_mean=3.0, completion_ids=[1]),
        completion("3", completion_ids=[1]),
    ]
    assert values(Exploration(), given(rows, [verdict("1")]))["token_entropy"] == pytest.approx(1.5)


def test_settings_that_cannot_be_measured_are_refused():
    with pytest.raises(UserError, match="k=8 needs as many samples"):
        Exploration(sampler=Independent(n=4))
    with pytest.raises(UserError, match=r"s=\[9\] of k=8; give numbers from 1 to k"):
        Exploration(s=(9,))
