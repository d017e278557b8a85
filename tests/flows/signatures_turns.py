"""What the recipes of turns, proposals, tools and games leave on their artifacts, and no other method would."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from itertools import groupby
from typing import Any

import pytest

from lib import countdown_roles, records
from lib.home import Home
from lib.take_away import opening, replayed
from tests.flows.round_tables import Row, by_id, made, outcomes


def _scores(shared: Home, record: Row, stage: str, verifier: str) -> dict[str, float]:
    """Completion → the score that a verifier gave it."""
    return {row["completion_id"]: row["score"] for row in made(shared, record, stage, "verdicts") if row["verifier"] == verifier}


def _examples(shared: Home, record: Row, stage: str, kind: str) -> dict[str, Row]:
    """The completion that is learned → its example."""
    owners = {row["example_id"]: row["completion_id"] for row in made(shared, record, stage, "example_sources") if row["part"] == "whole"}
    return {owners[row["example_id"]]: row for row in made(shared, record, stage, f"examples_{kind}")}


def _prompt(row: Row) -> str:
    return records.chat(row["prompt"])[-1]["content"]


def _begins_with(ids: list[int], prefix: list[int]) -> bool:
    return ids[: len(prefix)] == prefix


def rise(shared: Home, record: Row) -> None:
    """What is learned is better than the turn before, the best of its turn, and weighs exp(r / 0.4)."""
    first, retried = by_id(shared, record, "main/sample"), by_id(shared, record, "main/retry")
    said = outcomes(shared, record, "main/verify") | outcomes(shared, record, "main/verify_retry")
    assert {row["parent_id"] for row in retried.values()} <= {name for name in first if said[name] == "wrong"}
    learned = _examples(shared, record, "main/filter", "sft")
    turns = Counter({**first, **retried}[name]["turn"] for name in learned)
    assert turns[0] > 0 < turns[1]
    for name, example in learned.items():
        r = float(said[name] == "correct")
        assert example["weight"] == pytest.approx(math.exp(r / 0.4))
        if name in retried:
            assert r > float(said[retried[name]["parent_id"]] == "correct")
            assert _begins_with(example["input_ids"], retried[name]["prompt_ids"])
    groups = Counter({**first, **retried}[name]["group_id"] for name in learned)
    assert set(groups.values()) == {1}


def sft_corrections(shared: Home, record: Row) -> None:
    """A right solution is learned behind a prompt that shows a wrong attempt, and nothing else is."""
    drawn, said = by_id(shared, record, "main/sample"), outcomes(shared, record, "main/verify")
    sources = defaultdict(dict)
    for row in made(shared, record, "main/filter", "example_sources"):
        sources[row["example_id"]].setdefault(row["part"], []).append(row["completion_id"])
    examples = made(shared, record, "main/filter", "examples_sft")
    assert examples
    wrong = {tuple(row["prompt_ids"]) for row in drawn.values() if row["turn"] == 1 and said[row["parent_id"]] == "wrong"}
    for example in examples:
        (target,) = sources[example["example_id"]]["whole"]
        ids = drawn[target]["completion_ids"]
        assert said[target] == "correct"
        assert tuple(example["input_ids"][: -len(ids)]) in wrong
        assert example["labels"][-len(ids) :] == ids
        assert set(example["labels"][: -len(ids)]) == {records.IGNORED}


def score(shared: Home, record: Row) -> None:
    """The reward of each turn is SCoRe's by the outcomes of both turns, and its advantage that of RLOO in its problem and turn."""
    for stage, first_counts, alpha in (("stage_1", 0.0, 0.0), ("stage_2", 1.0, 1.0)):
        drawn = by_id(shared, record, f"{stage}/sample")
        r = {name: float(said == "correct") for name, said in outcomes(shared, record, f"{stage}/verify").items()}
        wanted = {}
        for name, row in drawn.items():
            before = row["parent_id"]
            wanted[name] = r[name] + alpha * (r[name] - r[before]) if before else first_counts * r[name]
        learned = _examples(shared, record, f"{stage}/filter", "group")
        assert {drawn[name]["turn"] for name in learned} == {0, 1}
        groups = defaultdict(list)
        for name, example in learned.items():
            assert example["reward"] == pytest.approx(wanted[name])
            held = alpha or not drawn[name]["parent_id"]  # stage I holds first attempts alone near the base model
            assert len(example["reference_logprobs"] or ()) == (len(example["old_logprobs"]) if held else 0)
            groups[drawn[name]["problem_id"], drawn[name]["turn"]].append(name)
        assert {len(names) for names in groups.values()} == {8}
        for names in groups.values():
            total = sum(wanted[name] for name in names)
            for name in names:
                assert learned[name]["advantage"] == pytest.approx(wanted[name] - (total - wanted[name]) / 7, abs=1e-9)
    assert any(example["reward"] == 2 for example in learned.values()), "no wrong attempt was put right"


def re_rest(shared: Home, record: Row) -> None:
    """Repairs answer prompts that name the wrong step, are learned after the prompt without, and the reflector learns its own."""
    first, repairs = by_id(shared, record, "main/sample"), by_id(shared, record, "main/repair")
    said = outcomes(shared, record, "main/verify") | outcomes(shared, record, "main/verify_repaired")
    reasons = {row["completion_id"]: row["reason"] for row in made(shared, record, "main/verify", "verdicts")}
    assert {row["parent_id"] for row in repairs.values()} == {name for name in first if said[name] == "wrong"}
    assert set(reasons.values()) <= set("0123456789")
    assert {row["role"] for row in repairs.values()} == {"reflector"}
    learned = {name: row for name, row in _examples(shared, record, "main/filter", "sft").items() if name in repairs}
    assert learned, "no repair was right"
    for name, example in learned.items():
        assert said[name] == "correct"
        assert example["input_ids"] == first[repairs[name]["parent_id"]]["prompt_ids"] + repairs[name]["completion_ids"]
    reflected = _examples(shared, record, "reflector/filter", "sft")
    assert reflected
    for name, example in reflected.items():
        assert said[name] == "correct"
        assert example["input_ids"] == repairs[name]["prompt_ids"] + repairs[name]["completion_ids"]
    assert record["made"]["reflector"] != record["made"]["policy"]


def knowrl(shared: Home, record: Row) -> None:
    """The reward of an attempt is the share of what most of its eight assessments say."""
    drawn, checks = by_id(shared, record, "main/sample"), by_id(shared, record, "main/assess")
    said = defaultdict(list)
    for row in checks.values():
        assert row["role"] == "check"
        said[row["parent_id"]].append(row["text"])
    assert {len(found) for found in said.values()} == {8}
    learned = _examples(shared, record, "main/filter", "group")
    assert learned
    groups = defaultdict(list)
    for name, example in learned.items():
        digits = [text for text in said[name] if countdown_roles.read_check(text) is not None]
        assert example["reward"] == pytest.approx(max(Counter(digits).values()) / len(digits))
        groups[drawn[name]["group_id"]].append(example)
    for rows in groups.values():
        k, mean = len(rows), sum(row["reward"] for row in rows) / len(rows)
        assert all(row["advantage"] == pytest.approx(k / (k - 1) * (row["reward"] - mean)) for row in rows)


def agent0(shared: Home, record: Row) -> None:
    """The executor learns from proposed problems on which it half agrees, its tool's tokens left out; proposals are paid by that."""
    _proposer(shared, record)
    proposals = by_id(shared, record, "executor/propose")
    born = {row["problem_id"]: row for row in made(shared, record, "executor/born", "problems")}
    held_out = {
        row["problem_id"] for stage in record["stages"] if stage.startswith("evaluate/") for row in _read(shared, record, stage, "problems")
    }
    assert born
    assert held_out
    assert not set(born) & held_out
    for row in born.values():
        assert (row["source"], row["born_round"], row["answer"]) == ("proposed", 1, None)
        numbers = sorted(int(number) for number in _prompt(row).partition(">")[0].split(","))
        assert len(numbers) == 4
        assert {proposals[parent]["role"] for parent in row["parent_ids"]} == {"proposer"}
    answers = by_id(shared, record, "executor/answer")
    rates = _rates(answers, outcomes(shared, record, "executor/vote"))
    learned = _examples(shared, record, "executor/filter", "group")
    assert learned, "no problem in the band"
    for name, example in learned.items():
        answer = answers[name]
        assert answer["problem_id"] in born
        assert 0.3 <= rates[answer["problem_id"]] <= 0.8
        calls = [
            list(run) for loss, run in groupby(range(len(answer["loss_mask"])), key=lambda place: answer["loss_mask"][place]) if not loss
        ]
        assert len(calls) <= answer["text"].count("=")
        prompt = len(answer["prompt_ids"])
        assert all(example["labels"][prompt + place] == records.IGNORED for run in calls for place in run)
    assert any(0 in answers[name]["loss_mask"] for name in learned)
    assert record["made"]["proposer"] != record["made"]["policy"]


def _proposer(shared: Home, record: Row) -> None:
    proposals = by_id(shared, record, "proposer/propose")
    born = {parent: row["problem_id"] for row in made(shared, record, "proposer/born", "problems") for parent in row["parent_ids"]}
    rates = _rates(by_id(shared, record, "proposer/answer"), outcomes(shared, record, "proposer/vote"))
    texts = Counter(row["text"] for row in proposals.values())
    rewards = _scores(shared, record, "proposer/worth", "proposal_reward")
    assert set(rewards) == set(proposals)
    for name, reward in rewards.items():
        if reward is not None:
            p = rates.get(born.get(name, ""))
            wanted = -1 if name not in born else 1 - 2 * abs(p - 0.5) - texts[proposals[name]["text"]] / len(proposals)
            assert reward == pytest.approx(wanted)
    learned = _examples(shared, record, "proposer/filter", "group")
    assert learned
    assert set(learned) <= set(proposals)
    assert all(example["reward"] == pytest.approx(rewards[name]) for name, example in learned.items())


def _rates(answers: dict[str, Row], said: dict[str, str]) -> dict[str, float]:
    """Problem → the share of right among its decided answers."""
    found: dict[str, list[bool]] = defaultdict(list)
    for name, row in answers.items():
        if said[name] != "undecided":
            found[row["problem_id"]].append(said[name] == "correct")
    return {problem: sum(right) / len(right) for problem, right in found.items()}


def _read(shared: Home, record: Row, stage: str, table: str) -> list[Row]:
    """The rows of a table that a stage read."""
    return made(shared, {"stages": {stage: {"made": record["stages"][stage]["read"]}}}, stage, table)


def spiral(shared: Home, record: Row) -> None:
    """Both players learn from games that are worth nothing in sum, by their reward less their own running mean."""
    turns, scores = by_id(shared, record, "main/sample"), _scores(shared, record, "main/verify", "game_outcome")
    games: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(turns.values(), key=lambda row: row["turn"]):
        games[row["episode_id"]].append(row)
    piles = {row["problem_id"]: opening(row["problem_id"], _prompt(row)) for row in _read(shared, record, "main/sample", "problems")}
    rewards: dict[str, dict[str, float]] = {}
    for episode, rows in games.items():
        replies = [row["text"] if row["finish_reason"] != "error" else None for row in rows]
        game = replayed(piles[rows[0]["problem_id"]], replies)
        assert [row["completion_id"] in scores for row in rows] == [place < game.turns for place in range(len(rows))]
        rewards[episode] = {f"player{p}": 0.0 if game.winner is None else 1.0 if p == game.winner else -1.0 for p in (0, 1)}
        assert sum(rewards[episode].values()) == 0
        assert all(scores[row["completion_id"]] == rewards[episode][row["role"]] for row in rows[: game.turns])
    learned = _examples(shared, record, "main/filter", "group")
    assert {turns[name]["role"] for name in learned} == {"player0", "player1"}
    played = {(turns[name]["episode_id"], turns[name]["role"]) for name in learned}
    wanted, baseline = {}, {"player0": 0.0, "player1": 0.0}
    for episode, player in sorted(played, key=lambda one: (_drawn(shared, record, "main/filter", one[0]), *one)):
        wanted[episode, player] = rewards[episode][player] - baseline[player]
        baseline[player] = 0.95 * baseline[player] + 0.05 * rewards[episode][player]
    for name, example in learned.items():
        assert example["advantage"] == pytest.approx(wanted[turns[name]["episode_id"], turns[name]["role"]])


def _drawn(shared: Home, record: Row, stage: str, name: str) -> Any:
    """The place of a name in the order that a filter stage drew by its seed."""
    from lib.store import Store

    job = record["stages"][stage]["jobs"][0]
    seed = Store(shared.store).read(job["key"], job["version"]).ingredients["seed"]
    return hashlib.md5(f"{seed}:{name}".encode()).hexdigest()
