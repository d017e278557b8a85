from itertools import groupby
from pathlib import Path

import pytest

from lib import records, tables
from lib.engines.scripted import Scripted
from lib.errors import UserError
from lib.protocols import Machine, Sampler, Tables
from lib.samplers.with_tools import WithTools
from lib.tools.calculator import Calculator
from tests.filter_stage import problem

PROBLEMS = records.PROBLEMS.table([problem("p", "1,5,8>45:")])


def engine(*texts):
    return Scripted(answers=(("1,5,8>45:", texts),)).open(Path(), "m", Machine())


def rows(model, **settings):
    sampler = WithTools(tools=(Calculator(),), **{"n": 1, **settings})
    made = sampler.sample(Tables(PROBLEMS), {"policy": model}, 0, lambda done, total: None)
    assert made.num_rows == sampler.owes(Tables(PROBLEMS))
    return tables.conform(made, records.COMPLETIONS).to_pylist()


def learned(row, model):
    """The text of the tokens that carry loss."""
    return model.decode([token for token, loss in zip(row["completion_ids"], row["loss_mask"], strict=True) if loss])


def calls(row):
    return sum(loss == 0 for loss, _ in groupby(row["loss_mask"]))


def test_a_result_that_the_model_got_right_stays_and_is_masked():
    model = engine("8+1=9;9*5=45")
    (row,) = rows(model)
    assert row["text"] == "8+1=9;9*5=45"
    assert learned(row, model) == "8+1=;9*5="
    assert calls(row) == 2
    assert row["completion_ids"] == model.encode("8+1=9;9*5=45")
    assert row["loss_mask"][-1] == 1  # the end of text is the model's own
    assert len(row["logprobs"]) == len(row["completion_ids"])


def test_a_wrong_result_is_replaced_and_the_model_goes_on_behind_it():
    model = engine("8+1=7;7*5=35")
    (row,) = rows(model)
    assert row["text"] == "8+1=9;7*5=35"  # the script goes on at the same place of the stream
    assert learned(row, model) == "8+1=;7*5="
    place = len("8+1=")
    assert row["logprobs"][place] == 0.0
    assert row["logprobs"][place + 1] == pytest.approx(-0.6931, abs=1e-4)
    assert row["entropy_mean"] is None
    assert (calls(row), row["finish_reason"]) == (2, "stop")


def test_a_result_may_have_another_length_than_the_claim():
    (row,) = rows(engine("8*5=4;1+1=2"))
    assert row["text"] == "8*5=401+1=402"  # what the script has at place 6 follows, and makes another sum
    assert row["loss_mask"][:6] == [1, 1, 1, 1, 0, 0]


def test_the_first_result_can_be_the_next_sums_first_number():
    (row,) = rows(engine("1+2=3+4=7"))
    assert calls(row) == 2


def test_calls_past_the_limit_are_the_models_own():
    model = engine("1+1=2;2+2=5")
    (row,) = rows(model, calls=1)
    assert (row["text"], learned(row, model)) == ("1+1=2;2+2=5", "1+1=;2+2=5")


def test_what_is_no_whole_result_is_left_as_it_is():
    model = engine("7/2=9;3/0=1;8/2=4")
    (row,) = rows(model)
    assert learned(row, model) == "7/2=9;3/0=1;8/2="


def test_a_claim_that_is_missing_is_written_and_the_limit_holds():
    (row,) = rows(engine("99*99="), max_new_tokens=8)
    assert (row["text"], row["finish_reason"]) == ("99*99=98", "length")
    assert row["loss_mask"] == [1] * 6 + [0] * 2


def test_completions_do_not_depend_on_n():
    model = engine("8+1=7;7*5=35", "1+5=6;6*8=48", "5*8=41;41+1=4")
    many = rows(model, n=6)
    assert rows(model, n=2) == many[:2]
    assert len({row["text"] for row in many}) == 3


def test_a_server_that_gives_text_alone_is_refused():
    class Texts:
        def __getattr__(self, name):
            return getattr(engine("1"), name)

        def sample(self, requests, **law):
            found = engine("1").sample(requests, **law)
            return [[type(one)(one.ids, [], None, None, "stop", "retokenised", "1") for one in its] for its in found]

    with pytest.raises(UserError, match="tools write tokens"):
        rows(Texts())


def test_it_is_a_sampler_and_survives_json():
    sampler = WithTools(tools=(Calculator(),))
    assert isinstance(sampler, Sampler)
    assert WithTools.model_validate(sampler.model_dump(mode="json")) == sampler
