import pytest

from lib.errors import UserError
from lib.evaluators.selection import Selection
from lib.samplers.independent import Independent
from lib.verifiers.likelihood import Likelihood
from tests.evaluated import drawn, items, values

SCORER = Likelihood(name="s")


def picking(**settings):
    return Selection(**{"k": (2,), "sampler": Independent(n=5), "scorer": SCORER, **settings})


def test_best_of_k_and_its_gap_to_the_oracle_have_the_known_values():
    tables = drawn(scores={"a": [5, 4, 3, 2, 1]}, a="wccwc")
    found = values(picking(k=(1, 2, 3)), tables)
    assert [found[f"bon_at_{k}"] for k in (1, 2, 3)] == pytest.approx([0.6, 0.5, 0.4])
    assert found["oracle_gap_at_2"] == pytest.approx(0.9 - 0.5)
    assert found["oracle_gap_at_1"] == pytest.approx(0.0)


@pytest.mark.parametrize(("wrong", "value"), [((2, 2), 0.7), ((2, 4), 0.8)])
def test_the_majority_has_the_known_values(wrong, value):
    texts = {"a": ["so 3", "= 3.0", r"\boxed{3}", *(f"it is {w}" for w in wrong)]}
    assert values(picking(k=(3,), scorer=None), drawn(texts=texts, a="cccww")) == {"maj_at_3": pytest.approx(value)}


def test_votes_can_be_whole_texts_and_weigh_their_scores():
    texts = {"a": ["1+2", "1 + 2", "2+1"]}
    tables = drawn({"a": [0.2, 0.2, 0.9]}, texts, a="wwc")
    assert values(picking(k=(3,), told="text", weighted=True), tables)["weighted_at_3"] == 1.0
    same = {"a": ["1 + 2", "1  + 2", "1\n+ 2"]}
    assert values(picking(k=(3,), told="text"), drawn({"a": [1, 1, 1]}, same, a="wcw"))["maj_at_3"] == pytest.approx(1 / 3)


def test_what_has_no_score_comes_last_and_what_is_undecided_is_left_out():
    tables = drawn({"a": [None, 0.1, 0.9], "b": [1, 1, 1]}, a="cwu", b="ccc")
    assert items(picking(k=(2,)), tables, "bon_at_2") == {"a": 0.0, "b": 1.0}
    assert items(picking(k=(3,)), tables, "bon_at_3") == {"b": 1.0}


def test_settings_that_cannot_be_measured_are_refused():
    with pytest.raises(UserError, match=r"k=6 needs as many samples, and sampler\.n is 5"):
        picking(k=(6,))
    with pytest.raises(UserError, match="needs scores; give it a scorer"):
        picking(scorer=None, weighted=True)
    with pytest.raises(UserError, match=r"'s' gave the score -0\.5, and votes weigh 0 or more"):
        picking(weighted=True).evaluate(drawn({"a": [-0.5, 1]}, a="cw"))
