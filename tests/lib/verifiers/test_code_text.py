import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.verifiers.code_text import read

PROMPT = "import math\n\ndef helper(x):\n    return x\n\ndef f(x):\n    '''Do it.'''\n"
BODY = "    return helper(x)\n"
WHOLE = "def f(x):\n    return helper(x)\n"


def first(text, prompt="", wanted=("f",)):
    return read(text, prompt, wanted).sources[0]


def test_a_continuation_is_put_behind_the_prompt():
    assert read(BODY, PROMPT, ("f",)).sources == (PROMPT + BODY,)


def test_a_continuation_that_runs_on_has_a_second_reading_that_ends_at_the_left_edge():
    assert read(f"{BODY}\nThat is it.\n", PROMPT, ("f",)).sources[1] == PROMPT + BODY + "\n"


def test_a_whole_program_gets_what_the_prompt_has_before_the_function():
    reading = read(WHOLE, PROMPT, ("f",))
    assert reading.sources == (WHOLE,)
    assert reading.prelude == "from typing import *\nimport math\n\ndef helper(x):\n    return x\n\n"


def test_without_a_prompt_of_code_every_text_is_a_whole_program():
    assert read(BODY, "", ("f",)) == ((BODY,), "")
    assert read(BODY, "Write a function f.", ("f",)).sources == (BODY,)


@pytest.mark.parametrize(
    "text",
    [
        f"```python\n{WHOLE}```",
        f"So:\n\n~~~py\n{WHOLE}~~~\nDone.",
        f"````\n{WHOLE}````",
        f"1. Here:\n   ```python\n   {WHOLE.replace(chr(10), chr(10) + '   ').rstrip(' ')}   ```\n",
        f"```python\n{WHOLE}",
        f"```python\ndef g(): pass\n```\n```Python\n{WHOLE}```\n```python\nprint(f(1))\n```",
        f"```bash\nls\n```\n```python\n{WHOLE}```\n```text\n6\n```",
        f"<think>\n```python\ndef f(x): return 1\n```\n</think>```python\n{WHOLE}```",
        WHOLE.replace("\n", "\r\n"),
    ],
)
def test_the_block_that_defines_the_name_is_the_program(text):
    assert first(text) == WHOLE


def test_of_two_definitions_the_last_counts():
    assert first(f"```\ndef f(x): return 1\n```\nBetter:\n```\n{WHOLE}```") == WHOLE


def test_without_a_wanted_name_the_last_block_of_python_counts():
    assert first("```python\nprint(1)\n```\n```python\nprint(2)\n```\n```\n```", wanted=()) == "print(2)\n"
    assert first("```python\nprint(1)\n```\n```sh\npython x.py\n```", wanted=()) == "print(1)\n"


def test_prose_around_bare_code_is_left_out_in_the_second_reading():
    sources = read(f"Here is the function:\n\nimport os\n\n{WHOLE}\nIt calls the helper.", "", ("f",)).sources
    assert sources[1] == f"import os\n\n{WHOLE}\n"


@pytest.mark.parametrize("definition", ["async def f(x):", "class f:", "f = lambda x: x", "f: object = max"])
def test_a_name_may_be_defined_in_any_way(definition):
    text = f"```\n{definition}\n    pass\n```\n```\nprint(f)\n```"
    assert first(text).startswith(definition)


def test_a_name_that_is_only_compared_or_longer_is_not_defined():
    text = "```\nf == 3\ndef function(): pass\nx = 1\n```\n```\ny = 2\n```"
    assert first(text) == "y = 2\n"


@given(st.text(alphabet="`~ \n\tdef(x):=<>/think#@a1", max_size=300), st.sampled_from(["", PROMPT, "def f(", "words"]))
def test_any_text_is_read_and_never_raises(text, prompt):
    sources, prelude = read(text, prompt, ("f",))
    assert len(sources) <= 2
    assert all(source.strip() for source in sources)
    assert isinstance(prelude, str)


@pytest.mark.parametrize("unit", ["```\n", "`", "\n", "a = [", "def f", "f: ", "<think>", " ", "def f(x):\n```\n", "a."])
def test_time_grows_with_the_length_only(unit):
    def seconds(length):
        text = unit * (length // len(unit))
        begun = time.perf_counter()
        read(text, PROMPT, ("f",))
        return time.perf_counter() - begun

    assert min(seconds(100_000) for _ in range(3)) < 0.5
