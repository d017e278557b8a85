import pytest

from lib.tools.protocol import Tool
from lib.tools.python import Python
from tests.sandboxing import needs_walls

BLOCK = "Let us see.\n```python\nprint(6 * 7)\n```"


@needs_walls
@pytest.mark.slow
def test_a_block_is_followed_by_what_it_prints():
    call = Python().call(BLOCK + " so 42", 0)
    assert call == (len(BLOCK), len(BLOCK), "\n```output\n42\n```\n")
    again = Python().call(BLOCK + call.output, 0)
    assert again == (len(BLOCK), len(BLOCK) + len(call.output), call.output)
    assert Python().call(BLOCK, len(BLOCK) + 1) is None


@needs_walls
@pytest.mark.slow
def test_a_program_that_fails_shows_why_and_a_long_output_is_cut():
    assert "ZeroDivisionError" in Python().call("```python\n1 / 0\n```", 0).output
    assert len(Python(longest=10).call("```python\nprint('a' * 99)\n```", 0).output) == len("\n```output\n…\n```\n") + 10
    assert Python().call("```python\nprint('`' * 3)\n```", 0).output == "\n```output\n'''\n```\n"


def test_text_without_a_whole_block_calls_nothing():
    assert Python().call("```python\nprint(1)\n", 0) is None
    assert Python().call("```python\n" * 20_000, 0) is None


def test_it_is_a_tool():
    assert isinstance(Python(), Tool)
