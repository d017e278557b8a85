"""What kinds of model servers take and give beyond the OpenAI API, and what their log-probabilities mean.

    vllm        returns token ids when asked; log-probabilities are the bare model's (its `raw_logprobs`, the default)
    sglang      log-probabilities are after the temperature and before top_p (unless SGLANG_RETURN_ORIGINAL_LOGPROB is set)
    llama.cpp   log-probabilities are the bare model's
    openai      any other: nothing beyond the API; log-probabilities are taken for the bare model's

Servers have samplers of their own that would bend the law (a top_k of 40, a repetition penalty out of the model's
generation_config.json): a kind's `extras` switch off those that its documentation names. A server of kind `openai` is
believed to have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["vllm", "sglang", "llama.cpp", "openai"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one kind of server is sent with every request, and how its figures read."""

    extras: dict[str, Any] = field(default_factory=dict)
    takes_stop_ids: bool = False
    tempered: bool = False
    """Whether its log-probabilities are after the temperature."""

    def law_and_bare(
        self, given: Sequence[float] | None, temperature: float, top_p: float, count: int
    ) -> tuple[list[float], list[float] | None]:
        """Log-probabilities of `count` tokens under the law that sampled, and under the bare model, as far as a server's
        figures tell: none of the first or None for the second where they do not."""
        known = list(given) if given is not None and len(given) == count else None
        if temperature == 0.0:
            return [0.0] * count, known
        if known is None:
            return [], None
        if temperature == 1.0:
            return (known if top_p == 1.0 else []), known
        if self.tempered:
            return (known if top_p == 1.0 else []), None
        return [], known


DIALECTS: dict[Kind, Dialect] = {
    "vllm": Dialect({"return_token_ids": True, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}, takes_stop_ids=True),
    "sglang": Dialect({"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}, takes_stop_ids=True, tempered=True),
    "llama.cpp": Dialect({"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0}),
    "openai": Dialect(),
}
