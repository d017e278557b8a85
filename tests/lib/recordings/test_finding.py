import pytest

from lib import records
from lib.recordings.finding import Finder
from lib.recordings.layouts import Recording
from tests.filter_stage import problem

LONG = "Write a python function that finds the volume of a cube from its side."
OTHER = "Write a python function that finds the volume of a ball from its radius."


def finder(*rows):
    return Finder(records.PROBLEMS.table([problem(name, text=text, source_id=source) for name, text, source in rows]))


def recording(prompt=None, source_id=None, is_position=False):
    return Recording("line 1", "x", prompt, source_id, is_position, None, None, None, None, "stop", {}, {})


SET = finder(("p", LONG, "234"), ("q", OTHER, "7"), ("r", "1,2>3:", "HumanEval/12"))


@pytest.mark.parametrize("source", ["234", "mbpp_234_volume_cube", "Mbpp/234", "MBPP-234"])
def test_an_id_names_its_number_in_any_of_its_forms(source):
    assert SET.find(recording(source_id=source)) == "p"


def test_the_problems_own_id_and_its_id_in_the_set_are_found_as_written():
    assert SET.find(recording(source_id="r")) == "r"
    assert SET.find(recording(source_id="HumanEval/12")) == "r"
    assert SET.find(recording(source_id="HumanEval/13")) is None


def test_a_prompt_is_found_whatever_its_white_space():
    assert SET.find(recording(prompt=LONG.replace(" ", "\n ") + "\u00a0")) == "p"


def test_a_prompt_is_found_after_examples_and_the_last_decides():
    assert SET.find(recording(prompt=f"Example: {OTHER} Answer: no. Now: {LONG} Think.")) == "p"


def test_a_prompt_is_found_inside_one_with_instructions():
    assert SET.find(recording(prompt="finds the volume of a ball from its radius.")) == "q"
    assert SET.find(recording(prompt="Write a python function that finds the volume of a")) is None  # two have it


def test_a_prompt_of_another_problem_is_believed_before_an_id_of_another_numbering():
    assert SET.find(recording(prompt=f"Please: {OTHER}", source_id="234")) == "q"
    assert SET.find(recording(prompt="in other words", source_id="234")) == "p"


def test_of_two_problems_with_one_text_the_id_decides():
    twins = finder(("p", LONG, "1"), ("q", LONG + " ", "2"))
    assert twins.find(recording(prompt=f'"""{LONG}"""', source_id="mbpp_2_volume")) == "q"
    assert twins.find(recording(prompt=LONG)) is None


def test_a_position_counts_from_0_and_only_without_a_prompt():
    bare = finder(("p", LONG, None), ("q", OTHER, None))
    assert bare.find(recording(source_id="1", is_position=True)) == "q"
    assert bare.find(recording(source_id="2", is_position=True)) is None
    assert bare.find(recording(prompt="another set altogether", source_id="1", is_position=True)) is None


def test_a_name_that_two_problems_share_is_no_name():
    twins = finder(("p", LONG, "a/7"), ("q", OTHER, "b/7"))
    assert twins.find(recording(source_id="7")) is None
    assert twins.find(recording(source_id="a/7")) == "p"
