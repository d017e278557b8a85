import math
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lib import models, records, seeds, tables
from lib.engines.classifier import Classifier
from lib.engines.huggingface import Huggingface
from lib.engines.scripted import Scripted
from lib.errors import UserError
from lib.protocols import Machine, NodeSampler, Tables, silent
from lib.samplers.independent import Independent
from lib.samplers.search import step_prior
from lib.samplers.tree import Tree, first_step
from lib.strategy import Strategy, load
from lib.verifiers.countdown import Countdown
from lib.verifiers.length import Length
from lib.verifiers.process import Process
from tests.tiny_models import classifier, writer

PROMPT = "1,5,8>45:"
RIGHT = ("8+1=9;9*5=45", "1+8=9;9*5=45", "8+1=9;5*9=45")
WRONG = ("8+1=9;9+5=14", "8-1=7;7*5=35", "5+1=6;6*8=48", "8*5=40;40+1=41", "8+1=9;9-5=4", "1+8=9;9+5=14", "7;")
ENGINE = Scripted(answers=((PROMPT, RIGHT + WRONG),), otherwise="1+1=2;2+2=4;4+4=8").open(Path(), "m", Machine())
ASKED = records.PROBLEMS.table(
    [
        {
            "problem_id": f"p{i}",
            "task": "countdown",
            "prompt": records.user_message(text),
            "source": "given",
            "born_round": 0,
        }
        for i, text in enumerate((PROMPT, "1,2,3>6:"))
    ]
)
SHAPES = [
    {},
    {"backup": "rest_mcts", "log_factor": 2, "exploration": 0.7},
    {"backup": "mcts_dpo", "select": "puct"},
    {"merge": False},
    {"value_of": "step"},
    {"widening": 0.1, "simulations": 9},
]


def tree(**settings):
    return Tree(**{"simulations": 6, "branch": 3, "value": Countdown(), "separator": ";", "max_new_tokens": 40, **settings})


def grown(sampler, problems=ASKED, seed=0, engine=ENGINE):
    completions, nodes = sampler.sample_nodes(Tables(problems), {"policy": engine}, seed, silent)
    assert completions.num_rows == nodes.num_rows == sampler.owes(Tables(problems))
    assert completions["completion_id"] == nodes["completion_id"]
    rows = tables.conform(completions, records.COMPLETIONS).to_pylist()
    more = tables.conform(nodes, records.NODES).to_pylist()
    return [completion | node for completion, node in zip(rows, more, strict=True)]


def by_id(rows):
    return {row["completion_id"]: row for row in rows}


@pytest.mark.parametrize("settings", SHAPES)
def test_every_draw_begins_with_its_parents_tokens_and_makes_the_next_step_a_node(settings):
    rows = grown(tree(**settings))
    known = by_id(rows)
    assert max(row["depth"] for row in rows) > 1
    for row in rows:
        parent = known.get(row["parent"])
        start = parent["tokens"] if parent else 0
        assert row["depth"] == (parent["depth"] + 1 if parent else 1)
        assert row["completion_ids"][:start] == (parent["completion_ids"][:start] if parent else [])
        step = ENGINE.decode(row["completion_ids"][start : row["tokens"]])
        assert step.count(";") == (0 if row["terminal"] and not step.endswith(";") else 1)
        assert row["terminal"] == (row["tokens"] == len(row["completion_ids"]))
        assert row["terminal"] or step.endswith(";")
        assert row["text"] == ENGINE.decode(row["completion_ids"])
        assert len(row["logprobs"]) == len(row["logprobs_at_1"]) == len(row["completion_ids"])
        assert (row["entropy_mean"] is None) == (start > 0)


def test_values_and_visits_are_those_of_the_draws_below():
    rows = grown(tree(simulations=12))
    children = defaultdict(list)
    for row in rows:
        children[row["parent"]].append(row)
    right = {row["completion_id"]: float(row["text"] in RIGHT) for row in rows}
    assert sum(right.values()) > 0

    def own(row):  # its draw, and those merged with it
        step = row["completion_ids"][: row["tokens"]]
        return [right[twin["completion_id"]] for twin in children[row["parent"]] if twin["completion_ids"][: twin["tokens"]] == step]

    def below(row):
        return [*own(row), *(value for child in children[row["completion_id"]] if child["visits"] for value in below(child))]

    merged = [row for row in rows if row["visits"] == 0]
    assert merged
    assert all(row["value"] is None and not children[row["completion_id"]] for row in merged)
    for row in rows:
        if row["visits"]:
            found = below(row)
            assert (row["visits"], row["total_value"]) == (len(found), sum(found))
            assert row["value"] == pytest.approx(sum(found) / len(found))
    for problem in ("p0", "p1"):
        assert sum(row["visits"] for row in children[None] if row["problem_id"] == problem) == 36


def test_without_merging_every_draw_is_a_node_with_a_visit():
    rows = grown(tree(merge=False))
    assert min(row["visits"] for row in rows) == 1


@pytest.mark.parametrize("backup", ["rest_mcts", "mcts_dpo"])
def test_a_simulation_visits_one_new_node_and_the_path_to_it(backup):
    rows = grown(tree(simulations=7, backup=backup))
    for problem in ("p0", "p1"):
        first = [row for row in rows if row["problem_id"] == problem and row["parent"] is None]
        assert sum(row["visits"] for row in first) == 7
    assert any(row["visits"] == 0 and row["value"] is not None for row in rows)


def test_the_search_goes_where_it_finds_something():
    for seed in range(20):
        rows = [row for row in grown(tree(simulations=2, exploration=0.0, merge=False), seed=seed) if row["problem_id"] == "p0"]
        open_ones = {row["completion_id"]: row["text"] in RIGHT for row in rows[:3] if not row["terminal"]}
        if any(open_ones.values()):
            assert {open_ones[row["parent"]] for row in rows[3:]} == {True}


@pytest.mark.parametrize("backup", ["mean", "rest_mcts", "mcts_dpo"])
@pytest.mark.parametrize(("widening", "depths"), [(0.0, [1, 2, 2, 2]), (0.5, [1, 2, 1, 2]), (1.0, [1, 2, 1, 1])])
def test_a_widened_tree_goes_up_and_down_whatever_it_merges_and_however_it_counts_visits(backup, widening, depths):
    for merge in (True, False):
        rows = grown(tree(simulations=4, widening=widening, merge=merge, backup=backup), ASKED.slice(0, 1))
        assert [row["depth"] for row in rows[::3]] == depths


def test_a_problems_tree_depends_neither_on_the_others_nor_on_later_simulations():
    rows = grown(tree())
    alone = grown(tree(), ASKED.slice(1, 1))
    assert alone == [row for row in rows if row["problem_id"] == "p1"]
    fewer = grown(tree(simulations=2))
    assert [row["completion_id"] for row in rows if row["sample_index"] < 6] == [row["completion_id"] for row in fewer]
    assert {row["completion_id"] for row in grown(tree(), seed=1)}.isdisjoint(by_id(rows))


def test_every_draw_has_a_stream_of_its_own():
    rows = [row for row in grown(tree()) if row["problem_id"] == "p0"]
    assert [row["sample_index"] for row in rows] == list(range(18))
    assert [row["seed"] for row in rows] == [seeds.seed_of(0, "p0", s, d) for s in range(6) for d in range(3)]
    assert len({row["group_id"] for row in rows}) == 1


def test_one_answer_alone_is_drawn_as_often_as_is_owed():
    engine = Scripted(otherwise="1").open(Path(), "m", Machine())
    rows = grown(tree(), engine=engine)
    assert {(row["text"], row["depth"], row["terminal"]) for row in rows} == {("1", 1, True)}
    assert sorted(row["visits"] for row in rows if row["problem_id"] == "p0") == [0] * 17 + [18]


def test_the_token_limit_counts_the_nodes_tokens():
    rows = grown(tree(max_new_tokens=10))
    assert {len(row["completion_ids"]) for row in rows if row["finish_reason"] == "length"} == {10}
    assert max(len(row["completion_ids"]) for row in rows) == 10


def test_without_room_for_one_call_the_same_is_drawn_in_several():
    class Narrow(type(ENGINE)):
        positions = len(PROMPT) + 40

        def sample(self, requests, **law):
            assert all(len(request.prompt_ids) + law["max_new_tokens"] <= self.positions for request in requests)
            return super().sample(requests, **law)

    narrow = Narrow("m", {PROMPT: RIGHT + WRONG}, "1+1=2;2+2=4;4+4=8")
    assert grown(tree(), engine=narrow) == grown(tree())


class Seen(Strategy):
    """Scores a text by its number of steps, and is undecided about one."""

    def verify(self, tables, engines):
        rows = [
            {
                "completion_id": c["completion_id"],
                "verifier": "seen",
                "reason": "",
                "n_tokens": 0,
                "outcome": "undecided" if c["text"].startswith("8-1=7") else None,
                "score": c["text"].count(";") / 10,
            }
            for c in tables.completions.to_pylist()
        ]
        return records.VERDICTS.table(rows)


def test_a_steps_value_is_of_the_text_up_to_it():
    rows = grown(tree(value=Seen(), value_of="step", backup="mean", simulations=1))
    for row in rows:
        shown = row["text"] if row["terminal"] else ENGINE.decode(row["completion_ids"][: row["tokens"]])
        if row["value"] is not None:
            assert row["value"] == pytest.approx(shown.count(";") / 10)


def test_rest_mcts_mixes_in_the_value_of_the_whole_draw():
    rows = grown(tree(value=Seen(), value_of="step", backup="rest_mcts", alpha=0.25, simulations=1))
    visited = [row for row in rows if row["visits"]]
    assert len(visited) == 2
    for row in visited:
        assert row["value"] == pytest.approx(0.75 * (0.0 if row["terminal"] else 0.1) + 0.25 * row["text"].count(";") / 10)


def test_what_is_undecided_has_no_value_and_is_not_continued():
    rows = grown(tree(value=Seen(), simulations=30))
    odd = [row for row in rows if row["text"].startswith("8-1=7")]
    assert odd
    assert all(row["value"] is None and row["visits"] == 0 for row in odd)
    assert not {row["parent"] for row in rows} & {row["completion_id"] for row in odd}


def test_an_errored_draw_is_counted_and_not_searched():
    class Failing(type(ENGINE)):
        def sample(self, requests, **law):
            found = super().sample(requests, **law)
            return [
                [type(s)([], [], None, None, "error") if r.seeds[0] % 3 == 0 else s for s in its]
                for r, its in zip(requests, found, strict=True)
            ]

    rows = grown(tree(simulations=9), engine=Failing("m", {PROMPT: RIGHT + WRONG}, "1"))
    failed = [row for row in rows if row["finish_reason"] == "error"]
    assert failed
    assert all((row["tokens"], row["visits"], row["value"], row["terminal"]) == (0, 0, None, True) for row in failed)


def test_tokens_made_from_a_servers_text_are_refused():
    class Retokenising(type(ENGINE)):
        def sample(self, requests, **law):
            return [[replace(s, ids_source="retokenised") for s in its] for its in super().sample(requests, **law)]

    with pytest.raises(UserError, match="the engine of role 'policy' gives text alone"):
        grown(tree(), engine=Retokenising("m", {}, "1"))


@pytest.mark.parametrize(
    ("text", "separator", "tokens"),
    [("8+1=9;9*5=45", ";", 6), ("9*5=45", ";", 7), (";;1", ";", 1), ("\n\n one\ntwo", "\n", 7), ("a--b", "--", 3), ("é\nx", "\n", 3)],
)
def test_a_step_takes_the_fewest_tokens_that_hold_its_end(text, separator, tokens):
    assert first_step(ENGINE.encode(text), separator, ENGINE.decode) == tokens


def test_a_value_that_cannot_verify_is_refused():
    with pytest.raises(UserError, match="Independent cannot verify"):
        Tree(value=Independent())


def test_it_is_a_sampler_of_nodes_and_comes_back_from_json():
    assert isinstance(tree(), NodeSampler)
    assert not isinstance(Independent(), NodeSampler)
    assert load(tree().model_dump(mode="json")) == tree()
    assert tree(value=Length()).owes(Tables(ASKED)) == 36


@pytest.mark.slow
def test_a_real_models_rows_have_the_log_probabilities_of_their_tokens(tmp_path):
    engine = Huggingface().open(writer(tmp_path), "m", Machine())
    rows = grown(tree(simulations=4, separator="1", max_new_tokens=24), engine=engine)
    assert max(row["depth"] for row in rows) > 1
    scored = engine.score([(row["prompt_ids"], row["completion_ids"]) for row in rows], silent)
    for row, figures in zip(rows, scored, strict=True):
        assert row["logprobs"] == pytest.approx(figures.logprobs, abs=1e-4)
        assert row["logprobs_at_1"] == pytest.approx(figures.logprobs, abs=1e-4)
        start = by_id(rows)[row["parent"]]["tokens"] if row["parent"] else 0
        assert row["prior"] == pytest.approx(step_prior(figures.logprobs[start : row["tokens"]], 1.25), rel=1e-3)


@pytest.mark.slow
def test_a_value_model_reads_a_step_at_its_own_last_token(tmp_path):
    engine = Huggingface().open(writer(tmp_path / "policy"), "m", Machine())
    reader = classifier(tmp_path / "value", "token", 1)
    value = Process(role="value", separator="1", ending="<eos>", aggregate="last")
    search = tree(value=value, value_of="step", separator="1", simulations=3, branch=16, max_new_tokens=12)
    engines = {"policy": engine, "value": Classifier().open(reader, "v", Machine())}
    completions, nodes = search.sample_nodes(Tables(ASKED), engines, 0, silent)
    model = models.load_classifier(reader, dtype="float32", device="cpu")
    seen = set()
    for row, node in zip(completions.to_pylist(), nodes.to_pylist(), strict=True):
        ids = row["completion_ids"][: node["tokens"]]
        plain = engine.encode(engine.decode(ids))[: len(ids)] == ids  # a special token in the middle has no text
        if plain and row["finish_reason"] == "stop" and node["visits"] == 1 and node["value"] is not None:
            logit = model(torch.tensor([row["prompt_ids"] + ids])).logits[0, -1, 0].item()
            assert node["value"] == pytest.approx(1 / (1 + math.exp(-logit)), abs=1e-4)
            seen.add(node["terminal"])
    assert seen == {True, False}
