"""Classification models of transformers in this process: reward models, and models that judge each step of an answer.

A sequence model reads the conversation up to the end of each part, one run a part; a token model reads it once, and its
logits are taken at each part's last token (as TRL's PRMTrainer labels them). A tokenizer with a chat template renders the
conversation; one without is given question and answer as a pair, the way encoders are trained.
Not covered: models that need code of their own, and heads over two answers at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from lib import models
from lib.engine_kinds import Reader, Reading
from lib.protocols import Machine, Report
from lib.strategy import Strategy

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MOST_ROWS = 64
"""Rows read at once at most, unless the machine says otherwise."""
POSITIONS_ON_CPU, POSITIONS = 8_192, 131_072
"""Tokens read at once, padding included."""


class Classifier(Strategy):
    """A sequence or token classification model in this process."""

    dtype: Literal["float32", "bfloat16"] = "float32"
    """Number format of the weights and activations; logits are handed on in float32."""

    def open(self, model: Path, model_id: str, machine: Machine) -> Reader:
        """Load a model folder onto the machine's device. Raises BadModel for another kind of model."""
        loaded = models.load_classifier(model, dtype=self.dtype, device=machine.device)
        by_token = models.head(model) == "token"
        return ClassifierEngine(model_id, loaded, models.load_tokenizer(model), by_token, machine.micro_batch)


class _Input(NamedTuple):
    """One run of the model: its ids, their segments where the model has such, and the places whose logits are wanted."""

    ids: list[int]
    types: list[int] | None
    places: list[int]


class ClassifierEngine:
    """One loaded classification model with its tokenizer."""

    def __init__(self, model_id: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, by_token: bool, rows: int | None) -> None:
        self.model_id = model_id
        self._model = model
        self._tokenizer = tokenizer
        self._by_token = by_token
        self._rows = rows
        config: Any = model.config
        self._pad: int | None = config.pad_token_id
        self._positions: int | None = getattr(config, "max_position_embeddings", None)

    def read(self, readings: Sequence[Reading], report: Report) -> list[list[list[float]] | None]:
        """For each reading, the class logits at the end of each of its parts; None where it passes the model's positions."""
        from lib import scoring

        inputs = [self._inputs(reading) for reading in readings]
        fits = [all(self._positions is None or len(one.ids) <= self._positions for one in group) for group in inputs]
        runs = [(place, one) for place, group in enumerate(inputs) if fits[place] for one in group]
        found: list[list[list[float]]] = [[] for _ in runs]
        # A causal head finds a row's end by its padding token: without one, rows stand alone.
        rows = 1 if self._pad is None and not self._by_token else self._rows or MOST_ROWS
        aim = POSITIONS_ON_CPU if self._model.device.type == "cpu" else POSITIONS
        done = 0
        for batch in scoring.batches([len(one.ids) for _, one in runs], rows, aim):
            for index, logits in zip(batch, self._logits([runs[index][1] for index in batch]), strict=True):
                found[index] = logits
            done += len(batch)
            report(done, len(runs))
        results: list[list[list[float]] | None] = [[] if fit else None for fit in fits]
        for (place, _), logits in zip(runs, found, strict=True):
            cast("list[list[float]]", results[place]).extend(logits)
        return results

    def _inputs(self, reading: Reading) -> list[_Input]:
        if self._by_token:
            ids = self._question(reading.messages)
            pieces = [self._ids(part) for part in reading.parts]
            ends = list(accumulate((len(piece) for piece in pieces), initial=len(ids)))[1:]
            return [_Input([*ids, *(token for piece in pieces for token in piece)], None, [max(0, end - 1) for end in ends])]
        return [self._whole(reading.messages, text) for text in accumulate(reading.parts)]

    def _whole(self, messages: list[dict[str, str]], text: str) -> _Input:
        if self._tokenizer.chat_template:
            answered = [*messages, {"role": "assistant", "content": text}]
            ids = cast("list[int]", self._tokenizer.apply_chat_template(answered, return_dict=False))
            return _Input(ids, None, [])
        both: Any = self._tokenizer(_joined(messages), text)
        return _Input(both["input_ids"], both.get("token_type_ids"), [])

    def _question(self, messages: list[dict[str, str]]) -> list[int]:
        if self._tokenizer.chat_template:
            return cast("list[int]", self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False))
        first = self._tokenizer.bos_token_id
        return [*([first] if isinstance(first, int) else []), *self._ids(_joined(messages))]

    def _ids(self, text: str) -> list[int]:
        return cast("list[int]", self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _logits(self, batch: list[_Input]) -> list[list[list[float]]]:
        """For each input, one list of class logits for each of its places, or one for the whole where it names none."""
        import torch

        width = max(len(one.ids) for one in batch)
        given = {
            "input_ids": [[*one.ids, *[self._pad or 0] * (width - len(one.ids))] for one in batch],
            "attention_mask": [[*[1] * len(one.ids), *[0] * (width - len(one.ids))] for one in batch],
        }
        if batch[0].types is not None:
            given["token_type_ids"] = [[*(one.types or []), *[0] * (width - len(one.ids))] for one in batch]
        with torch.inference_mode():
            logits = self._model(**{name: torch.tensor(rows, device=self._model.device) for name, rows in given.items()}).logits
        values = logits.float().cpu()
        if self._by_token:
            return [values[row, one.places].tolist() for row, one in enumerate(batch)]
        return [[value.tolist()] for value in values]


def _joined(messages: list[dict[str, str]]) -> str:
    return "\n".join(message["content"] for message in messages)
