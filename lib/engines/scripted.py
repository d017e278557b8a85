"""An engine that answers from a script instead of a model: whole rounds in tests, without weights or torch.

A token is a byte of UTF-8 plus one, and 0 ends a text. Log-probabilities are made up, and alike for every token.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from lib.engine_kinds import Pair, Scored
from lib.protocols import Engine, Machine, Report, Request, Sampled
from lib.strategy import Strategy

END = 0
"""The end-of-text token."""
_LOGPROB = math.log(0.5)
_ENTROPY = math.log(2.0)


class Scripted(Strategy):
    """What to answer to which prompt."""

    reads_model: ClassVar[bool] = False
    continues: ClassVar[bool] = True

    answers: tuple[tuple[str, Annotated[tuple[str, ...], Field(min_length=1)]], ...] = ()
    """Prompt text and its answers: a sample takes the one at its stream seed modulo their number, a greedy one the first;
    what continues tokens that it does not begin with takes one of those that do, by the same rule."""
    otherwise: str = ""
    """The answer to every other prompt."""

    def open(self, model: Path, model_id: str, machine: Machine) -> Engine:
        """The engine; no file of the model is read."""
        return ScriptedEngine(model_id, dict(self.answers), self.otherwise)


class ScriptedEngine:
    """The open script."""

    positions: int | None = None

    def __init__(self, model_id: str, answers: dict[str, tuple[str, ...]], otherwise: str) -> None:
        self.model_id = model_id
        self._answers = answers
        self._otherwise = otherwise

    def render(self, messages: list[dict[str, str]]) -> list[int]:
        return _bytes_of("".join(message["content"] for message in messages))

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(i - 1 for i in ids if i != END).decode(errors="replace")  # a cut can fall inside a character

    def encode(self, text: str) -> list[int]:
        return [*_bytes_of(text), END]

    def sample(
        self, requests: Sequence[Request], *, temperature: float, top_p: float, max_new_tokens: int, report: Report
    ) -> list[list[Sampled]]:
        done: list[list[Sampled]] = []
        for request in requests:
            prompt = request.prompt_ids[: len(request.prompt_ids) - request.start]
            texts = self._answers.get(self.decode(prompt), (self._otherwise,))
            begun = request.prompt_ids[len(prompt) :]
            picks = [seed if temperature > 0 else 0 for seed in request.seeds]
            law = _LOGPROB if temperature > 0 else 0.0  # the greedy law is certain of its token
            done.append([self._completion(self._picked(texts, pick, begun), law, request.start, max_new_tokens) for pick in picks])
            report(len(done), len(requests))
        return done

    def score(self, pairs: Sequence[Pair], report: Report) -> list[Scored]:
        """Tokens that one of the prompt's answers begins with have half the probability, others a quarter."""
        done: list[Scored] = []
        for prompt, completion in pairs:
            answers = [self.encode(text) for text in self._answers.get(self.decode(prompt), (self._otherwise,))]
            known = [any(list(completion[:end]) == answer[:end] for answer in answers) for end in range(1, len(completion) + 1)]
            logprobs = [_LOGPROB if token_known else 2 * _LOGPROB for token_known in known]
            done.append(Scored(logprobs, [_ENTROPY] * len(known), [0.25] * len(known)))
            report(len(done), len(pairs))
        return done

    def _picked(self, texts: Sequence[str], pick: int, begun: Sequence[int]) -> str:
        """The pick's text; where that does not begin with the tokens given, another that does, if there is one."""
        first = texts[pick % len(texts)]
        fitting = [text for text in texts if self.encode(text)[: len(begun)] == list(begun)]
        return fitting[pick % len(fitting)] if fitting and first not in fitting else first

    def _completion(self, text: str, logprob: float, start: int, max_new_tokens: int) -> Sampled:
        whole = self.encode(text)[start:]
        ids = whole[:max_new_tokens]
        return Sampled(
            ids=ids,
            logprobs=[logprob] * len(ids),
            logprobs_at_1=[_LOGPROB] * len(ids),
            entropy_mean=_ENTROPY,
            finish_reason="stop" if ids == whole else "length",
        )


def _bytes_of(text: str) -> list[int]:
    return [byte + 1 for byte in text.encode()]
