"""The contract between sampling and training: what a prompt is in tokens, and how an answer ends.

Before sampling: tokenizer, configs and chat template of a model agree on the end of a text; the template renders a
question as the beginning of the question with its answer, which ends with a stop token; an engine renders prompts as the
model's own tokenizer does. After it: what stopped by itself ends with a stop token. Before training: the ids are in the
model's vocabulary, prompts read back as the ids that they are, and the last stop token carries loss.

Cannot be caught: a wrong prompt that its tokenizer would write so; a tokenizer that does not give back what it has read
(its prompts are not read back); rows that are wrong beside others that are right.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa

from lib import models, records
from lib.errors import BadModel
from lib.files import read_json
from lib.prompts import Messages, rendered
from lib.protocols import Engine

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LOOKED_AT = 16
"""Prompts or examples of a shard or table that are compared."""
SHOWN = 160
"""Characters of a rendering that a message shows around the first difference."""
SIDES = (("input_ids", "labels"), ("chosen_input_ids", "chosen_labels"), ("rejected_input_ids", "rejected_labels"))

_PROBE = "What is 2 + 3?\n(One  number, please.)"


def check_folder(folder: Path) -> None:
    """Raise BadModel unless tokenizer, configs and chat template of a model that writes agree on how an answer begins and ends."""
    if models.head(folder) is not None:
        return  # it reads answers and writes none
    tokenizer = models.load_tokenizer(folder)
    eos = tokenizer.eos_token_id
    for name, named in models.named_stops(folder).items():
        if named and eos not in named:
            raise BadModel(f"{folder}: the tokenizer ends text with token {eos} and {name} with {list(named)}; make eos_token_id agree")
    user = [{"role": "user", "content": "1"}]
    prompt = str(tokenizer.apply_chat_template(user, tokenize=False, add_generation_prompt=True))
    whole = str(tokenizer.apply_chat_template([*user, {"role": "assistant", "content": "2"}], tokenize=False))
    if not whole.startswith(prompt):
        raise BadModel(
            f"{folder}: the chat template renders a question as {prompt!r} and the question with its answer as {whole!r}; "
            "the second must begin with the first, or training would see other prompts than sampling"
        )
    stops = models.stop_ids(folder)
    if models.end_of_turn(tokenizer, stops) is None:
        names = tokenizer.convert_ids_to_tokens(list(stops))
        raise BadModel(
            f"{folder}: the chat template renders a question as {prompt!r} and the question with its answer as {whole!r}, "
            f"which must end with one of the stop tokens {names}; write eos_token after an assistant's message"
        )


def check_prompts(folder: Path, engine: Engine, problems: pa.Table) -> None:
    """Raise BadModel unless an engine renders the first problems' prompts as the model folder's tokenizer does."""
    _checked(folder)
    tokenizer = _tokenizer(folder)

    def render(messages: Messages) -> list[int]:
        return cast("list[int]", tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False))

    for problem in problems.slice(0, LOOKED_AT).select(["problem_id", "prompt"]).to_pylist():
        messages = records.chat(problem["prompt"])
        ours, theirs = (rendered(how, problem["problem_id"], messages) for how in (render, engine.render))
        check_same_prompt(f"the engine {type(engine).__name__}", ours, theirs, tokenizer)


def check_same_prompt(who: str, ours: Sequence[int], theirs: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise BadModel, with both renderings, where somebody has other ids for a prompt than the model's own tokenizer."""
    if list(ours) != list(theirs):
        raise BadModel(
            f"{_differing(who, ours, theirs, tokenizer)}; training would see other prompts than sampling: "
            "give both one tokenizer and template"
        )


def check_endings(folder: Path, role: str, completions: pa.Table) -> None:
    """Raise BadModel if completions of a role that stopped by themselves do not end with one of the model's stop tokens."""
    stops = frozenset(models.stop_ids(folder))
    columns = (completions[name].to_pylist() for name in ("role", "finish_reason", "ids_source", "completion_ids"))
    for its_role, finish, source, ids in zip(*columns, strict=True):
        if its_role == role and finish == "stop" and source == "engine" and ids[-1] not in stops:
            tokenizer = _tokenizer(folder)
            raise BadModel(
                f"a completion stopped by itself and ends {tokenizer.decode(ids[-LOOKED_AT:])!r}, whose last token {ids[-1]} is none "
                f"of the stop tokens {sorted(stops)} ({tokenizer.convert_ids_to_tokens(sorted(stops))}); make eos_token_id agree"
            )


def check_examples(folder: Path, examples: pa.Table) -> None:
    """Raise BadModel unless a model's tokenizer and stop tokens are those that its examples were sampled with.

    Rows without labels, of which values are learned, need only be of its vocabulary.
    """
    _checked(folder)
    for ids_name, labels_name in SIDES:
        if ids_name in examples.column_names and examples.num_rows:
            _check_ids(folder, examples[ids_name])
        if ids_name in examples.column_names and labels_name in examples.column_names and examples.num_rows:
            step = -(-examples.num_rows // LOOKED_AT)
            rows = examples.take(list(range(0, examples.num_rows, step)))
            _check_read_back(folder, list(_prompts(rows[ids_name].to_pylist(), rows[labels_name].to_pylist())))
            _check_stop_in_loss(folder, rows[ids_name].to_pylist(), rows[labels_name].to_pylist())


def _check_ids(folder: Path, column: pa.ChunkedArray) -> None:
    import pyarrow.compute as pc

    largest = pc.max(pc.list_flatten(column)).as_py()
    size = max(len(_tokenizer(folder)), _vocabulary(folder))
    if largest is not None and largest >= size:
        raise BadModel(f"{folder}: an example holds token {largest}, and the model knows {size}; the examples are of another tokenizer")


def _check_read_back(folder: Path, prompts: list[list[int]]) -> None:
    """A prompt's text gives its ids again; a prefix may hold sampled tokens, which need not, so one that does is enough."""
    tokenizer = _tokenizer(folder)
    probe = cast("list[int]", tokenizer.apply_chat_template([{"role": "user", "content": _PROBE}], return_dict=False))
    if not prompts or _read_back(probe, tokenizer) != probe:
        return
    again = [_read_back(prompt, tokenizer) for prompt in prompts]
    if all(prompt != ids for prompt, ids in zip(prompts, again, strict=True)):
        raise BadModel(
            f"{folder}: {_differing('its tokenizer', prompts[0], again[0], tokenizer)}; the examples were sampled with another tokenizer: "
            "train the model that sampled them, or sample with this one"
        )


def _check_stop_in_loss(folder: Path, ids: list[list[int]], labels: list[list[int]]) -> None:
    stops = frozenset(models.stop_ids(folder))
    ending = [(row, its[-1]) for row, its in zip(ids, labels, strict=True) if row and row[-1] in stops]
    if ending and all(label == records.IGNORED for _, label in ending):
        tokenizer = _tokenizer(folder)
        row = ending[0][0]
        raise BadModel(
            f"{folder}: the examples end {tokenizer.decode(row[-LOOKED_AT:])!r}, and none has its stop token {row[-1]} inside the loss, "
            "so that the model would not learn to stop; label the last token"
        )


def _prompts(ids: list[list[int]], labels: list[list[int]]) -> Iterable[list[int]]:
    """What stands before the first token that carries loss, where anything does."""
    for row, its in zip(ids, labels, strict=True):
        length = next((place for place, label in enumerate(its) if label != records.IGNORED), 0)
        if length:
            yield row[:length]


def _read_back(ids: list[int], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    text = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return cast("list[int]", tokenizer(str(text), add_special_tokens=False)["input_ids"])


def _differing(who: str, ours: Sequence[int], theirs: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> str:
    """Both renderings of a prompt around the first place where they differ, as text and as ids."""
    pairs = zip(ours, theirs, strict=False)
    place = next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(ours), len(theirs)))

    def shown(ids: Sequence[int]) -> str:
        near = list(ids[max(0, place - LOOKED_AT) : place + LOOKED_AT])
        return f"{str(tokenizer.decode(near))[:SHOWN]!r} (… {list(ids[place : place + 6])})"

    return f"a prompt reads {shown(ours)} and {who} renders it as {shown(theirs)}, apart from token {place} on"


def _vocabulary(folder: Path) -> int:
    config: Mapping[str, Any] = read_json(models.home(folder) / "config.json")
    return int(config.get("vocab_size") or config.get("text_config", {}).get("vocab_size") or 0)


@functools.lru_cache(maxsize=8)
def _checked(folder: Path) -> None:
    check_folder(folder)  # a model folder of the store never changes


@functools.lru_cache(maxsize=8)
def _tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    return models.load_tokenizer(folder)
