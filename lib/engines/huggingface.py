"""Tokens from a model folder through transformers, in this process, with our own batched loop (lib/decoding.py)."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from lib import models
from lib.engine_kinds import Pair, Scored
from lib.engines.stops import Watch, before
from lib.errors import UserError
from lib.protocols import Engine, Machine, Report, Request, Sampled, Trainer, silent
from lib.strategy import Strategy

if TYPE_CHECKING:
    import pyarrow as pa
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MOST_ROWS = 384
"""Rows sampled at once at most, unless the machine says otherwise; more cost memory and bring little on a CPU."""
POSITIONS_ON_CPU, POSITIONS = 24_576, 262_144
"""Cached tokens (rows times the longest prompt and answer) aimed at; on a CPU more would fall out of its caches."""


class Huggingface(Strategy):
    """A transformers model in this process."""

    continues: ClassVar[bool] = True

    dtype: Literal["float32", "bfloat16"] = "float32"
    """Number format of the weights and activations; log-probabilities are always computed in float32."""
    stop: tuple[str, ...] = ()
    """Strings that end a completion beside the end of text; the text ends before them, the tokens after."""

    def open(self, model: Path, model_id: str, machine: Machine) -> Engine:
        """Load a model folder onto the machine's device."""
        loaded = models.load_model(model, dtype=self.dtype, device=machine.device)
        tokenizer = models.load_tokenizer(model)
        opened = Opened(self, model, machine)
        return HuggingfaceEngine(model_id, loaded, tokenizer, models.stop_ids(model), machine.micro_batch, self.stop, opened)

    def over(self, live: PreTrainedModel, model: Path, model_id: str, machine: Machine) -> Engine:
        """An engine over a model that is held elsewhere, such as one in training, made from a folder.

        It samples by the weights as they stand, in their own number format, and leaves them as they are.
        """
        return HuggingfaceEngine(model_id, live, models.load_tokenizer(model), models.stop_ids(model), machine.micro_batch, self.stop)


@dataclass(frozen=True, slots=True)
class Opened:
    """How an engine came to its model, so that a copy can be trained and opened in the same way."""

    factory: Huggingface
    folder: Path
    machine: Machine


class HuggingfaceEngine:
    """One loaded model with its tokenizer."""

    def __init__(
        self,
        model_id: str,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        stop_ids: tuple[int, ...],
        rows: int | None,
        stop: tuple[str, ...] = (),
        opened: Opened | None = None,
    ) -> None:
        self.model_id = model_id
        self._model = model
        self._tokenizer = tokenizer
        self._stop_ids = stop_ids
        self._rows = rows
        self._stop = stop
        self._opened = opened
        self._watch = Watch(tokenizer, stop, model.config.get_text_config().vocab_size) if stop else None

    def render(self, messages: list[dict[str, str]]) -> list[int]:
        """Token ids of a chat prompt, ready for the answer."""
        return cast("list[int]", self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of completion ids, special tokens left out."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def encode(self, text: str) -> list[int]:
        """Token ids of a completion's text and of the token that ends an assistant's turn.

        A text that spells a special token, such as `<eos>`, does not become one.
        """
        ids: list[int] = self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        end = models.end_of_turn(self._tokenizer, self._stop_ids)
        return [*ids, self._stop_ids[0] if end is None else end]

    def sample(
        self, requests: Sequence[Request], *, temperature: float, top_p: float, max_new_tokens: int, report: Report
    ) -> list[list[Sampled]]:
        """For each request, one `Sampled` per seed, in order; the order of work is by prompt length.

        At temperature 0 the `logprobs` are 0, for the law is certain. Raises UserError if a prompt and its answer pass
        the positions of the model.
        """
        from lib import decoding

        longest = max((len(request.prompt_ids) for request in requests), default=0)
        self._refuse_too_long(longest, max_new_tokens)
        law = decoding.Law(temperature, top_p, max_new_tokens, self._stop_ids, self._watch)
        total = sum(len(request.seeds) for request in requests)
        done = 0

        def finished(rows: int) -> None:
            nonlocal done
            done += rows
            report(done, total)

        rows = self._rows or self._fitting_rows(longest + max_new_tokens)
        found = decoding.sample_batches(self._model, batches(requests, rows), law, finished)
        each = iter(range(total))
        return [[self._read(found[next(each)]) for _ in request.seeds] for request in requests]

    def _read(self, sampled: Sampled) -> Sampled:
        """The completion with its text up to the stop string, where there may be one."""
        return replace(sampled, text=before(self.decode(sampled.ids), self._stop)) if self._stop else sampled

    @property
    def positions(self) -> int | None:
        """Tokens that the model can hold, prompt and completion together."""
        return getattr(self._model.config, "max_position_embeddings", None)

    def score(self, pairs: Sequence[Pair], report: Report) -> list[Scored]:
        """For each pair, in order, the figures of its completion's tokens under the bare model.

        Raises UserError if a pair passes the positions of the model.
        """
        from lib import scoring

        self._refuse_too_long(max((len(prompt) + len(completion) for prompt, completion in pairs), default=0), 0)
        done = 0

        def finished(rows: int) -> None:
            nonlocal done
            done += rows
            report(done, len(pairs))

        aim = POSITIONS_ON_CPU if self._model.device.type == "cpu" else POSITIONS
        return scoring.score(self._model, pairs, self._rows or MOST_ROWS, aim, finished)

    @contextmanager
    def trained(self, trainer: Trainer, examples: pa.Table, seed: int) -> Iterator[Engine]:
        """An engine over a copy of the model that has learned these examples, gone when the block ends; this one stays as it is.

        The copy is a model folder on the disk for that long, so any trainer can make it. Raises UserError for an engine over
        a model that is held elsewhere.
        """
        if self._opened is None:
            raise UserError("a model in training cannot be adapted further; give the engine a model folder of its own")
        machine = replace(self._opened.machine, report=silent)
        scratch = machine.scratch if machine.scratch is not None and machine.scratch.is_dir() else None
        with tempfile.TemporaryDirectory(dir=scratch) as aside:
            trainer.train({"start": self._opened.folder}, examples, Path(aside), seed, machine)
            yield self._opened.factory.open(Path(aside), f"{self.model_id}+1", machine)

    def _fitting_rows(self, length: int) -> int:
        positions = POSITIONS_ON_CPU if self._model.device.type == "cpu" else POSITIONS
        return min(MOST_ROWS, max(1, positions // length))

    def _refuse_too_long(self, longest: int, max_new_tokens: int) -> None:
        positions = getattr(self._model.config, "max_position_embeddings", None)
        if positions is not None and longest + max_new_tokens > positions:
            raise UserError(
                f"a prompt of {longest} tokens and {max_new_tokens} new ones pass the model's {positions} positions; "
                f"lower max_new_tokens to {max(0, positions - longest)} or shorten the prompt"
            )


def batches(requests: Sequence[Request], rows: int) -> Iterator[list[tuple[int, Request]]]:
    """Requests, each with the place of its first seed among all seeds, longest prompts first, at most `rows` seeds a batch.

    Like lengths together need little padding; the longest first meets a lack of memory at once. A request is cut only
    where it alone has more seeds than a batch has rows.
    """
    firsts = list(itertools.accumulate((len(request.seeds) for request in requests), initial=0))
    batch: list[tuple[int, Request]] = []
    held = 0
    for place in sorted(range(len(requests)), key=lambda place: -len(requests[place].prompt_ids)):
        request = requests[place]
        for start in range(0, len(request.seeds), rows):
            piece = replace(request, seeds=request.seeds[start : start + rows])
            if held + len(piece.seeds) > rows:
                yield batch
                batch, held = [], 0
            batch.append((firsts[place] + start, piece))
            held += len(piece.seeds)
    if batch:
        yield batch
