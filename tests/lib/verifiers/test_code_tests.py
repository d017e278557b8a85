import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.verifiers.code_tests import Case, UnitTests, UnreadableTests, parse


def test_the_three_forms_are_read():
    assert parse('{"test": "assert f(1)", "entry_point": "f", "prompt": "def f(x):"}') == UnitTests("assert f(1)", ("f",), "def f(x):")
    assert parse('{"test_list": ["assert f(1)", "assert f(2)"], "test_setup_code": "x = 1", "entry_points": ["f"]}') == UnitTests(
        "x = 1\nassert f(1)\nassert f(2)", ("f",), ""
    )
    assert parse('[{"stdin": "1", "stdout": "2"}]') == (Case("1", "2"),)


def test_a_check_that_nobody_calls_is_called_with_the_entry_point():
    test = "def check(g):\n    assert g(1)\n"
    for more in ("", "print(1)\n", "x = dict(a=1)\n", "@cache\ndef other(): pass\n"):
        assert parse(json.dumps({"test": test + more, "entry_point": "f"})).source.endswith("check(f)\n")
    for more in ("check(f)\n", "def run():\n    check(f)\n\nrun()\n"):
        assert parse(json.dumps({"test": test + more, "entry_point": "f"})).source == test + more


@pytest.mark.parametrize(
    "text",
    ["", "null", "3", "[]", "{}", "[1]", '{"test_list": []}', '{"test_list": [1]}', '{"test": "x"}', '[{"stdin": ""}]', "[" * 5000],
)
def test_anything_else_is_unreadable(text):
    with pytest.raises(UnreadableTests):
        parse(text)


names = st.sampled_from(["test", "test_list", "entry_point", "stdin", "stdout", "prompt"])


@given(st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(names, inner), max_leaves=8))
def test_any_json_is_read_or_unreadable(value):
    try:
        assert parse(json.dumps(value))
    except UnreadableTests as error:
        assert str(error)
