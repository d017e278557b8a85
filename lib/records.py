"""The tables that stages hand to each other: one Arrow schema each, with a version and a primary key.

A stage refuses a table of another schema. There is no free-form column: a new fact is a new field and a new version.
Times, host names and batch sizes are not here: they go into the `stats` of a publication, outside every digest.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

IGNORED = -100
"""The label of a token that carries no loss."""

_ids = pa.list_(pa.int32())
_floats = pa.list_(pa.float32())
_part = pa.struct([("type", pa.string()), ("text", pa.string()), ("sha256", pa.string())])
_message = pa.struct([("role", pa.string()), ("parts", pa.list_(_part))])


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A table's name, version, columns and the columns that order and identify its rows."""

    name: str
    version: int
    schema: pa.Schema
    primary_key: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"{self.name}/v{self.version}"

    def empty(self) -> pa.Table:
        return self.schema.empty_table()

    def table(self, rows: list[dict[str, object]]) -> pa.Table:
        """Rows as a table of this schema; a missing nullable column becomes null."""
        return pa.Table.from_pylist(rows, schema=self.schema)


def _spec(name: str, version: int, key: str, required: dict[str, pa.DataType], optional: dict[str, pa.DataType]) -> TableSpec:
    fields = [pa.field(n, t, nullable=False) for n, t in required.items()]
    fields += [pa.field(n, t, nullable=True) for n, t in optional.items()]
    return TableSpec(name, version, pa.schema(fields), tuple(key.split()))


PROBLEMS = _spec(
    "problems",
    2,
    "problem_id",
    {"problem_id": pa.string(), "task": pa.string(), "prompt": pa.list_(_message), "source": pa.string(), "born_round": pa.int32()},
    {
        "answer": pa.string(),
        "tests": pa.string(),
        "source_id": pa.string(),  # its id in the set that it came from, such as HumanEval/0
        "category": pa.string(),
        "difficulty": pa.float64(),
        "answer_share": pa.float64(),
        "context_ids": pa.list_(pa.string()),
        "parent_ids": pa.list_(pa.string()),
    },
)

COMPLETIONS = _spec(
    "completions",
    1,
    "completion_id",
    {
        "completion_id": pa.string(),
        "problem_id": pa.string(),
        "group_id": pa.string(),
        "turn": pa.int32(),
        "step": pa.int32(),
        "role": pa.string(),
        "model_id": pa.string(),
        "prompt_ids": _ids,
        "completion_ids": _ids,
        "ids_source": pa.string(),  # engine, or retokenised where the server gave text only
        "text": pa.string(),
        "logprobs": _floats,  # of the sampled tokens, under the law that sampled them
        "finish_reason": pa.string(),  # stop, length or error
        "temperature": pa.float64(),
        "top_p": pa.float64(),
        "seed": pa.uint64(),
        "sample_index": pa.int32(),
    },
    {
        "episode_id": pa.string(),
        "parent_id": pa.string(),
        "loss_mask": pa.list_(pa.int8()),
        "logprobs_at_1": _floats,  # the same tokens at temperature 1 and top_p 1
        "entropy_mean": pa.float64(),  # nats per token, at temperature 1
    },
)

NODES = _spec(
    "nodes",
    2,
    "completion_id",
    {
        "completion_id": pa.string(),  # the draw that made the node: its parent's tokens, then a continuation to the end
        "depth": pa.int32(),
        "tokens": pa.int32(),  # how many of the completion's tokens lead to the node and belong to it; what follows is a rollout
        "visits": pa.int64(),
        "total_value": pa.float64(),
        "terminal": pa.bool_(),
    },
    {"parent": pa.string(), "prior": pa.float64(), "value": pa.float64()},  # parent: completion_id of a node; null below the root
)

VERDICTS = _spec(
    "verdicts",
    1,
    "completion_id verifier rival_id step",
    {"completion_id": pa.string(), "verifier": pa.string(), "reason": pa.string(), "n_tokens": pa.int32()},
    {
        "rival_id": pa.string(),
        "step": pa.int32(),
        "outcome": pa.string(),  # correct, wrong, undecided; null for scorers
        "score": pa.float64(),
        "raw_text": pa.string(),
    },
)

SFT = _spec(
    "examples_sft",
    2,
    "example_id",
    {"example_id": pa.string(), "problem_id": pa.string(), "input_ids": _ids, "labels": _ids, "weight": pa.float64()},
    {"reference_logprobs": _floats},  # one per labelled token, where a verify stage scored them
)

PAIR = _spec(
    "examples_pair",
    2,
    "example_id",
    {
        "example_id": pa.string(),
        "problem_id": pa.string(),
        "chosen_input_ids": _ids,
        "chosen_labels": _ids,
        "rejected_input_ids": _ids,
        "rejected_labels": _ids,
        "chosen_score": pa.float64(),
        "rejected_score": pa.float64(),
        "strategy": pa.string(),
        "weight": pa.float64(),
    },
    {
        "chosen_win": pa.float64(),  # probability of winning against the group (SPPO)
        "rejected_win": pa.float64(),
        "epsilon": pa.float64(),  # probability that the pair is the wrong way round
        "split_pos": pa.int32(),  # tokens of input_ids that both sides share; loss comes from those after
        "chosen_reference_logprobs": _floats,  # one per labelled token of the side, where a verify stage scored them
        "rejected_reference_logprobs": _floats,
    },
)

UNPAIRED = _spec(
    "examples_unpaired",
    1,
    "example_id",
    {"example_id": pa.string(), "problem_id": pa.string(), "input_ids": _ids, "labels": _ids, "target": pa.float64()},
    {},
)

GROUP = _spec(
    "examples_group",
    2,
    "example_id",
    {
        "example_id": pa.string(),
        "problem_id": pa.string(),
        "group_id": pa.string(),
        "input_ids": _ids,
        "labels": _ids,
        "old_logprobs": _floats,  # one per labelled token, under the policy that sampled, at temperature 1
        "reward": pa.float64(),
        "advantage": pa.float64(),
        "pass_rate": pa.float64(),
    },
    {
        "correct": pa.bool_(),
        "weight": pa.float64(),  # 1 where there is none
        "reference_logprobs": _floats,  # one per labelled token, where a verify stage scored them
    },
)

STEP = _spec(
    "examples_step",
    1,
    "example_id",
    {
        "example_id": pa.string(),
        "problem_id": pa.string(),
        "input_ids": _ids,
        "step": pa.int32(),
        "position": pa.int32(),  # of the token in input_ids at whose end the value is read
        "target": pa.float64(),
    },
    {"weight": pa.float64()},  # 1 where there is none
)

EXAMPLE_SOURCES = _spec(
    "example_sources",
    1,
    "example_id completion_id part",
    {"example_id": pa.string(), "completion_id": pa.string(), "part": pa.string()},  # whole, chosen, rejected, prompt
    {},
)

DROPPED = _spec(
    "dropped",
    1,
    "unit id filter",
    {"unit": pa.string(), "id": pa.string(), "filter": pa.string(), "reason": pa.string()},
    {},
)

EVICTED = _spec("evicted", 1, "place example_id", {"place": pa.int32(), "example_id": pa.string()}, {})
"""What a training was given and did not learn; `place` is that of the artifact among the inputs named `examples`, from 0."""

TOKEN_SCORES = _spec(
    "token_scores",
    1,
    "completion_id model_id",
    {"completion_id": pa.string(), "model_id": pa.string(), "logprobs": _floats},
    {},
)

STATE = _spec(
    "state",
    1,
    "controller key",
    {"controller": pa.string(), "key": pa.string(), "value": pa.string()},  # value: JSON
    {},
)

METRICS = _spec(
    "metrics",
    1,
    "model_id split evaluator metric slice",
    {
        "model_id": pa.string(),
        "split": pa.string(),
        "evaluator": pa.string(),
        "metric": pa.string(),
        "slice": pa.string(),  # all, or NAME=VALUE
        "value": pa.float64(),
        "n": pa.int64(),
    },
    {"stderr": pa.float64()},
)

METRIC_ITEMS = _spec(
    "metric_items",
    1,
    "model_id split evaluator metric problem_id",
    {
        "model_id": pa.string(),
        "split": pa.string(),
        "evaluator": pa.string(),
        "metric": pa.string(),
        "problem_id": pa.string(),
        "value": pa.float64(),
    },
    {},
)

EXAMPLES = {"sft": SFT, "pair": PAIR, "unpaired": UNPAIRED, "group": GROUP, "step": STEP}
"""Kind of example → its table."""

_MADE = (PROBLEMS, COMPLETIONS, NODES, VERDICTS, *EXAMPLES.values(), EXAMPLE_SOURCES, DROPPED, EVICTED, TOKEN_SCORES, STATE)

TABLES = {spec.name: spec for spec in (*_MADE, METRICS, METRIC_ITEMS)}
"""Name → table, of all that stages make."""


def user_message(text: str) -> list[dict[str, object]]:
    """A prompt of one user turn of plain text, as the `prompt` column holds it."""
    return [{"role": "user", "parts": [{"type": "text", "text": text, "sha256": None}]}]


def chat(prompt: list[dict[str, object]]) -> list[dict[str, str]]:
    """A `prompt` cell as the role/content messages that chat templates take; text parts only."""
    return [
        {"role": str(m["role"]), "content": "".join(p["text"] or "" for p in m["parts"])}  # type: ignore[attr-defined]
        for m in prompt
    ]
