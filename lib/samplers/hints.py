"""Prompts that give part of the answer away."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from lib.errors import UserError
from lib.samplers.templates import filled


def _checked_template(template: str) -> str:
    if "{hint}" not in template:
        raise UserError(f"the template {template!r} shows no hint; write {{hint}} (and {{prompt}}) where they belong")
    return template


def _checked_pattern(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise UserError(f"the hint pattern {pattern!r} is no regular expression: {error}") from None
    if not groups:
        raise UserError(f"the hint pattern {pattern!r} has no group; put parentheses around the hint")
    return pattern


Template = Annotated[str, AfterValidator(_checked_template)]
"""Text with {hint}, and with {prompt} for what was asked."""

Pattern = Annotated[str, AfterValidator(_checked_pattern)]
"""A regular expression whose first group, where it first matches an answer, is the hint."""

TEMPLATE = "{prompt}\n\nThe answer is {hint}. Show how to get there."
WHOLE = r"(?s)(\S.*\S|\S)"


def hint_in(answer: str | None, pattern: str) -> str | None:
    """What the pattern's first group finds in an answer, or None where there is no answer or no match."""
    match = re.search(pattern, answer) if answer is not None else None
    return match[1] if match else None


def hinted(messages: list[dict[str, str]], template: str, ending: str, hint: str) -> list[dict[str, str]]:
    """The chat with its last message put through the template, `ending` first taken off its end."""
    last = messages[-1]
    content = filled(template, {"prompt": last["content"].removesuffix(ending), "hint": hint})
    return [*messages[:-1], {**last, "content": content}]
