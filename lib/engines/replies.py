"""What a server's JSON says, believed only where it has the form that the API promises.

Accepted: `choices` of /v1/completions (text) or /v1/chat/completions (message.content), in any order, more or fewer than
asked; token ids where every one is an integer; log-probabilities where every one is a finite number. Rejected as no
reply: no choices, a text that is no string, a finish_reason that is missing. Cannot be caught: well-formed lies.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

FINISHES = {"stop": "stop", "length": "length"}
"""The API's finish_reason → ours; any other (content_filter, abort, …) is an error: the answer is not the model's own."""


class Malformed(ValueError):
    """A reply without the promised form."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer of a server."""

    text: str
    finish_reason: str
    ids: list[int] | None
    prompt_ids: list[int] | None
    logprobs: list[float] | None


def parsed(body: str) -> dict[str, Any]:
    """The JSON object of a body. Raises Malformed for anything else, however deep or long."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {body[:80]!r}") from error
    if not isinstance(value, dict):
        raise Malformed(f"not a JSON object: {body[:80]!r}")
    return value


def choices(reply: dict[str, Any]) -> list[Choice]:
    """The answers of a reply, in the order of their index. Raises Malformed."""
    found = reply.get("choices")
    if not isinstance(found, list) or not found or not all(isinstance(choice, dict) for choice in found):
        raise Malformed("no choices")
    found = sorted(found, key=lambda choice: choice["index"] if isinstance(choice.get("index"), int) else 0)
    return [_choice(choice, reply) for choice in found]


def served_names(reply: dict[str, Any]) -> list[str]:
    """The model names of a /v1/models reply. Raises Malformed."""
    models = reply.get("data")
    if not isinstance(models, list):
        raise Malformed("no list of models")
    return [model["id"] for model in models if isinstance(model, dict) and isinstance(model.get("id"), str)]


def _choice(choice: dict[str, Any], reply: dict[str, Any]) -> Choice:
    message = choice.get("message")
    text = message.get("content") if isinstance(message, dict) else choice.get("text")
    finish = choice.get("finish_reason")
    if not isinstance(text, str) or not isinstance(finish, str):
        raise Malformed("a choice without text or finish_reason")
    return Choice(
        text=text.encode("utf-8", "replace").decode(),  # half of a surrogate pair can be written in JSON and not in a table
        finish_reason=FINISHES.get(finish, "error"),
        ids=_ids(choice.get("token_ids")),
        prompt_ids=_ids(choice.get("prompt_token_ids")) or _ids(reply.get("prompt_token_ids")),
        logprobs=_logprobs(choice.get("logprobs")),
    )


def _ids(value: Any) -> list[int] | None:
    is_list = isinstance(value, list) and bool(value) and all(type(item) is int and 0 <= item < 2**31 for item in value)
    return value if is_list else None


def _logprobs(value: Any) -> list[float] | None:
    """Of /v1/completions {token_logprobs: […]} or of chat {content: [{logprob}, …]}."""
    if not isinstance(value, dict):
        return None
    content, listed = value.get("content"), value.get("token_logprobs")
    figures: list[Any] = listed if isinstance(listed, list) else []
    if isinstance(content, list):
        figures = [item.get("logprob") if isinstance(item, dict) else None for item in content]
    is_known = bool(figures) and all(type(figure) in (int, float) and math.isfinite(figure) for figure in figures)
    return [float(figure) for figure in figures] if is_known else None
