"""A problem that cannot be asked is refused by name."""

from __future__ import annotations

import pytest

from lib.errors import BadModel, BadProblems
from lib.prompts import refuse_too_long, rendered

QUESTION = [{"role": "user", "content": "1,2>3:"}]


def test_a_template_that_refuses_a_prompt_names_the_problem():
    def refuse(messages: list[dict[str, str]]) -> list[int]:
        raise ValueError("roles must\nalternate")

    with pytest.raises(BadProblems, match=r"problem p7 cannot be put to the model \(ValueError: roles must alternate\); mend its prompt"):
        rendered(refuse, "p7", QUESTION)


def test_an_error_of_ours_stays_what_it_is():
    def refuse(messages: list[dict[str, str]]) -> list[int]:
        raise BadModel("no chat template")

    with pytest.raises(BadModel, match="no chat template"):
        rendered(refuse, "p7", QUESTION)


def test_the_longest_prompt_is_named_with_what_would_fit():
    prompts = [[0] * 5, [0] * 30, [0] * 20]
    with pytest.raises(
        BadProblems, match=r"problem b has a prompt of 30 tokens.*32 positions \(and so do 1 more\); lower max_new_tokens to 2"
    ):
        refuse_too_long("abc", prompts, 16, 32)


def test_what_fits_exactly_passes_and_so_does_a_model_without_positions():
    refuse_too_long("a", [[0] * 16], 16, 32)
    refuse_too_long("a", [[0] * 17], 16, None)
    refuse_too_long("", [], 16, 32)
    with pytest.raises(BadProblems, match="problem a has a prompt of 17 tokens"):
        refuse_too_long("a", [[0] * 17], 16, 32)
