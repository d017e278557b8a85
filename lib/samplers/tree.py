"""Tree search as a sampler: each simulation chooses a node of each problem's tree and draws continuations of it to the end.

Every draw is a completion like any other, and calls compare with those of best-of-n: a problem costs simulations x branch of
them. Its first step after the chosen node, up to and with the separator, becomes one new node; the rest is that node's
rollout. What is drawn of a node's tokens is drawn once: a completion's row holds those tokens and their log-probabilities
as the draw before it left them, and `entropy_mean` only where it began with nothing. The formulas are in lib.samplers.search.

A draw that was not sampled, or that the verifier cannot decide, makes a node without a value, which is not searched and
of which its ancestors learn nothing. Two children of equal tokens are one node where `merge` says so: the first one has the
visits, and the other's row has none, nor a value. Where no node is left that can be continued, the root gets other first steps.

Published searches visit a finished answer again, count only steps as cost, and make a step without the rest; they stop at a
value of their liking (ReST-MCTS*'s end gate) and adapt the number of branches (AlphaLLM). None of this is here.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field, model_validator

from lib import records, seeds
from lib.errors import UserError
from lib.prompts import refuse_too_long, rendered
from lib.protocols import Engine, Report, Request, Sampled, Tables
from lib.samplers import search
from lib.samplers.rows import Ask, Drawn, engine_of, named
from lib.samplers.search import Node
from lib.samplers.standing import joined, shortened
from lib.strategy import AnyStrategy, Strategy

Row = dict[str, Any]


@dataclass(slots=True)
class Grown:
    """One problem's tree, its completions, and the node that each has made, or would have where it was merged with another."""

    ask: Ask
    prompt_ids: list[int]
    root: Node = field(default_factory=Node)
    rows: list[Row] = field(default_factory=list)
    made: list[Node] = field(default_factory=list)

    def prefix(self, node: Node) -> list[int]:
        """The tokens that lead to a node, its own included."""
        return list(self.rows[node.draw]["completion_ids"][: node.tokens]) if node.tokens else []

    def begun(self, node: Node) -> Sampled:
        """A node's tokens as an engine returned them."""
        row = self.rows[node.draw]
        at_1 = row["logprobs_at_1"]
        told = (row["logprobs"][: node.tokens], None if at_1 is None else at_1[: node.tokens])
        return Sampled(self.prefix(node), *told, None, "length", row["ids_source"])


class Tree(Strategy):
    """simulations x branch completions a problem, and the node that each has made."""

    simulations: int = Field(8, ge=1)
    """How often a node is chosen and continued, for each problem."""
    branch: int = Field(4, ge=1)
    """Continuations of a chosen node."""
    value: AnyStrategy
    """The verifier whose score is a node's value; without a score, correct is 1 and wrong 0."""
    value_of: Literal["rollout", "step"] = "rollout"
    """What it is asked about: the whole draw, or the text up to the node's own step, as a model of partial answers reads it."""
    separator: str = Field("\n", min_length=1)
    """What ends a step. White space before a step belongs to it."""
    select: Literal["uct", "puct"] = "uct"
    """How a node is chosen."""
    exploration: float = Field(1.0, ge=0)
    """c of both formulas."""
    log_factor: Literal[1, 2] = 1
    """f of UCT."""
    unvisited: float = 1.0
    """What UCT adds to the value of a node without visits."""
    length_exponent: float = 1.25
    """λ of PUCT's prior."""
    widening: float = Field(0.0, ge=0, le=1)
    """w: a node that selection meets is continued again while it was less than n^w times, n the simulations that went on from it
    or from below it; 0: only the root, at last."""
    backup: Literal["mean", "rest_mcts", "mcts_dpo"] = "mean"
    """What a node's ancestors learn of it. The rollout of rest_mcts is the draw's own, its value the verifier's of the whole draw."""
    alpha: float = Field(0.5, ge=0, le=1)
    """α of rest_mcts."""
    gamma: float = Field(1.0, ge=0, le=1)
    """γ of mcts_dpo."""
    merge: bool = True
    """Whether children of equal tokens are one node."""
    temperature: float = Field(default=1.0, ge=0)
    """0 is greedy, and then all children of a node are alike."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """The probability mass of the likeliest tokens that may be drawn; 1 leaves none out."""
    max_new_tokens: int = Field(default=24, ge=1)
    """Where a completion is cut off, the node's tokens counted; the end-of-text token counts."""
    role: str = "policy"
    """Whose model answers."""

    @model_validator(mode="after")
    def _value_verifies(self) -> Tree:
        if not hasattr(self.value, "verify"):
            raise UserError(f"{type(self.value).__name__} cannot verify, so it gives a node no value; set value to a verifier")
        return self

    @property
    def n(self) -> int:
        """Completions of each problem."""
        return self.simulations * self.branch

    def sample(self, tables: Tables, engines: Mapping[str, Engine], seed: int, report: Report) -> pa.Table:
        return self.sample_nodes(tables, engines, seed, report)[0]

    def sample_nodes(self, tables: Tables, engines: Mapping[str, Engine], seed: int, report: Report) -> tuple[pa.Table, pa.Table]:
        """Completions and nodes, those of a problem together, in the order drawn.

        Draw d of simulation s of a problem is from the stream (seed, problem, s, d): it depends on no other problem.
        """
        engine = engine_of(engines, self.role)
        problems = tables.problems.select(["problem_id", "prompt"]).to_pylist()
        asks = [Ask(problem["problem_id"], records.chat(problem["prompt"])) for problem in problems]
        trees = [Grown(ask, rendered(engine.render, ask.problem_id, ask.messages)) for ask in asks]
        prompts = [tree.prompt_ids for tree in trees]
        refuse_too_long([ask.problem_id for ask in asks], prompts, self.max_new_tokens, getattr(engine, "positions", None))
        for simulation in range(self.simulations):
            self._simulate(trees, tables, engines, seed, simulation)
            report(simulation + 1, self.simulations)
        completions = [row for tree in trees for row in tree.rows]
        nodes = [_node_row(tree, place) for tree in trees for place in range(len(tree.rows))]
        return records.COMPLETIONS.table(completions), records.NODES.table(nodes)

    def owes(self, tables: Tables) -> int:
        return tables.problems.num_rows * self.n

    def _simulate(self, trees: Sequence[Grown], tables: Tables, engines: Mapping[str, Engine], seed: int, simulation: int) -> None:
        engine = engine_of(engines, self.role)
        chosen = [search.selected(tree.root, self._liking, self._is_narrow) for tree in trees]
        streams = [tuple(seeds.seed_of(seed, tree.ask.problem_id, simulation, draw) for draw in range(self.branch)) for tree in trees]
        requests = [
            Request([*tree.prompt_ids, *tree.prefix(node)], its, node.tokens)
            for tree, node, its in zip(trees, chosen, streams, strict=True)
        ]
        drawn = self._drawn(engine, requests)
        for tree, node, request, samples in zip(trees, chosen, requests, drawn, strict=True):
            group_id = seeds.short_id(seed, tree.ask.problem_id, engine.model_id, self.role)
            for stream, sample in zip(request.seeds, samples, strict=True):
                tree.rows.append(self._row(tree, node, engine, stream, sample) | {"group_id": group_id})
                tree.made.append(self._child(tree, node, engine))
        ask = self._asking(tables, engines, seeds.seed_of(seed, "value", simulation))
        new = [tree.made[-self.branch :] for tree in trees]
        self._judge(trees, new, ask, engine)
        grown = [self._hung(tree, node, children) for tree, node, children in zip(trees, chosen, new, strict=True)]
        self._back_up(trees, grown, ask)

    def _liking(self, node: Node) -> float:
        if self.select == "uct":
            return search.uct(node, self.exploration, self.log_factor, self.unvisited)
        return search.puct(node, self.exploration)

    def _is_narrow(self, node: Node) -> bool:
        return search.is_narrow(node, self.widening)

    def _drawn(self, engine: Engine, requests: Sequence[Request]) -> list[list[Sampled]]:
        """One call of the engine, the longest continuations cut after it; one for each start where the model has no room for that."""
        most = max((self.max_new_tokens - request.start for request in requests), default=0)
        positions = getattr(engine, "positions", None)
        together = positions is None or all(len(request.prompt_ids) + most <= positions for request in requests)
        found: list[list[Sampled]] = [[] for _ in requests]
        for start in [None] if together else sorted({request.start for request in requests}):
            places = [place for place, request in enumerate(requests) if start in (None, request.start)]
            limit = most if start is None else self.max_new_tokens - start
            law: dict[str, Any] = {"temperature": self.temperature, "top_p": self.top_p, "max_new_tokens": limit}
            answers = engine.sample([requests[place] for place in places], **law, report=lambda done, total: None)
            for place, samples in zip(places, answers, strict=True):
                found[place] = [shortened(sample, self.max_new_tokens - requests[place].start) for sample in samples]
        return found

    def _row(self, tree: Grown, node: Node, engine: Engine, stream: int, sample: Sampled) -> Row:
        if sample.ids_source != "engine" and sample.finish_reason != "error":
            raise UserError(f"a tree needs the very tokens that were sampled, and the engine of role '{self.role}' gives text alone")
        whole = joined(tree.begun(node), sample, engine) if node.tokens else sample
        text = {} if sample.text is None else {"text": engine.decode(tree.prefix(node)) + sample.text}
        drawn = Drawn(stream, len(tree.rows), self.temperature, self.top_p)
        return named(tree.ask, engine, self.role, drawn, tree.prompt_ids, whole.ids, whole.finish_reason) | {
            **text,
            "ids_source": whole.ids_source,
            "logprobs": whole.logprobs,
            "logprobs_at_1": whole.logprobs_at_1,
            "entropy_mean": whole.entropy_mean,
        }

    def _child(self, tree: Grown, node: Node, engine: Engine) -> Node:
        """The node that the last draw makes below the one it continues."""
        row = tree.rows[-1]
        ids = row["completion_ids"]
        if row["finish_reason"] == "error":
            return Node(node, len(tree.rows) - 1, terminal=True, judged=None)
        tokens = node.tokens + first_step(ids[node.tokens :], self.separator, engine.decode)
        logprobs = (row["logprobs_at_1"] or row["logprobs"])[node.tokens : tokens]
        if self.select == "puct" and not logprobs:
            raise UserError(f"select='puct' needs log-probabilities, and the engine of role '{self.role}' tells none; set select='uct'")
        prior = search.step_prior(logprobs, self.length_exponent) if logprobs else None
        return Node(node, len(tree.rows) - 1, tokens, terminal=tokens == len(ids), prior=prior)

    def _asking(self, tables: Tables, engines: Mapping[str, Engine], seed: int) -> Callable[[list[Row]], dict[str, float | None]]:
        """What the verifier says of completions: completion_id → value, None where it cannot say."""

        def ask(rows: list[Row]) -> dict[str, float | None]:
            given = Tables(tables.problems, records.COMPLETIONS.table(rows), seed=seed)
            verdicts = self.value.verify(given, engines).to_pylist()  # type: ignore[attr-defined]
            return {v["completion_id"]: _value(v) for v in verdicts if v.get("step") is None and v.get("rival_id") is None}

        return ask

    def _judge(self, trees: Sequence[Grown], new: Sequence[Sequence[Node]], ask: Any, engine: Engine) -> None:
        """Give every new node the verifier's value of it."""
        asked = [(tree.rows[node.draw], node) for tree, nodes in zip(trees, new, strict=True) for node in nodes]
        said = ask([row if self.value_of == "rollout" or node.terminal else _cut(row, node, engine) for row, node in asked])
        for row, node in asked:
            node.judged = said.get(row["completion_id"]) if row["finish_reason"] != "error" else None

    def _hung(self, tree: Grown, node: Node, new: Sequence[Node]) -> list[tuple[Node, Node]]:
        """Hang new nodes below the one chosen; returns (node of the draw, node of the tree) for each with a value."""
        known = {tuple(tree.prefix(child)): child for child in node.children if child.judged is not None} if self.merge else {}
        kept, pairs = [], []
        for child in new:
            first = child
            if child.judged is not None:
                first = known.setdefault(tuple(tree.prefix(child)), child) if self.merge else child
                pairs.append((child, first))
            if first is child:
                kept.append(child)
        search.expand(node, kept)
        return pairs

    def _back_up(self, trees: Sequence[Grown], grown: Sequence[Sequence[tuple[Node, Node]]], ask: Any) -> None:
        if self.backup == "mean":
            for draw, node in (pair for pairs in grown for pair in pairs):
                search.back_up_mean(node, draw.judged or 0.0)
            return
        if self.backup == "mcts_dpo":
            for draw, node in (pair for pairs in grown for pair in pairs):
                if draw is node:
                    search.expect(node)
        visited = [(tree, *max(pairs, key=lambda pair: self._liking(pair[1]))) for tree, pairs in zip(trees, grown, strict=True) if pairs]
        if self.backup == "mcts_dpo":
            for _, _, node in visited:
                search.back_up_rewards(node, self.gamma)
            return
        rows = [tree.rows[draw.draw] for tree, draw, _ in visited]
        rollouts = ask(rows) if self.value_of == "step" else {}
        for row, (_, draw, node) in zip(rows, visited, strict=True):
            rollout = rollouts.get(row["completion_id"], draw.judged)
            search.back_up_weighted(node, node.value if rollout is None else rollout, self.alpha)


def first_step(ids: Sequence[int], separator: str, decode: Callable[[Sequence[int]], str]) -> int:
    """How many tokens the first step takes: the fewest whose text, white space before it aside, holds the separator; else all."""
    counts = range(1, len(ids) + 1)
    found = bisect.bisect_left(counts, True, key=lambda count: separator in decode(ids[:count]).lstrip())
    return counts[found] if found < len(counts) else len(ids)


def _value(verdict: Mapping[str, Any]) -> float | None:
    """A verdict as a value; None where it is undecided or says nothing."""
    if verdict["outcome"] == "undecided":
        return None
    score = verdict["score"]
    return {"correct": 1.0, "wrong": 0.0}.get(verdict["outcome"]) if score is None else float(score)


def _cut(row: Row, node: Node, engine: Engine) -> Row:
    """A completion up to a node's step, as one that was cut off there."""
    ids = row["completion_ids"][: node.tokens]
    told = {"logprobs": row["logprobs"][: node.tokens], "logprobs_at_1": None, "entropy_mean": None}
    return row | {"completion_ids": ids, "text": engine.decode(ids), "finish_reason": "length"} | told


def _node_row(tree: Grown, place: int) -> Row:
    """A row of records.NODES; one that was merged has neither visits nor a value."""
    node = tree.made[place]
    parent = node.parent
    hung = parent is not None and node in parent.children
    return {
        "completion_id": tree.rows[place]["completion_id"],
        "parent": tree.rows[parent.draw]["completion_id"] if parent is not None and parent.draw >= 0 else None,
        "depth": node.depth,
        "tokens": node.tokens,
        "visits": node.visits,
        "total_value": node.total,
        "terminal": node.terminal,
        "prior": node.prior,
        "value": node.value if hung and node.judged is not None else None,
    }
