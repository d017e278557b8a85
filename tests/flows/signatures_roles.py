"""What the recipes that rest on roles leave on their artifacts."""

from __future__ import annotations

from typing import Any

from lib import countdown_roles, records, tables
from lib.countdown_steps import first_wrong, question
from lib.home import Home
from lib.store import Store
from tests.flows.round_tables import made


def _scores(shared: Home, record: dict[str, Any], stage: str, verifier: str) -> dict[str, float]:
    """Completion → the score that a verifier gave it."""
    rows = made(shared, record, stage, "verdicts")
    return {row["completion_id"]: row["score"] for row in rows if row["verifier"] == verifier}


def self_rewarding(shared: Home, record: dict[str, Any]) -> None:
    """Both scores of a pair are the judge's own, and the chosen one is the higher."""
    judged = _scores(shared, record, "main/verify", "check")
    assert len(judged) == len(made(shared, record, "main/sample", "completions"))
    assert all(0 < score < 1 for score in judged.values())
    sides: dict[str, dict[str, str]] = {}
    for source in made(shared, record, "main/filter", "example_sources"):
        sides.setdefault(source["example_id"], {})[source["part"]] = source["completion_id"]
    pairs = made(shared, record, "main/filter", "examples_pair")
    assert pairs
    for pair in pairs:
        completions = sides[pair["example_id"]]
        assert (pair["chosen_score"], pair["rejected_score"]) == (judged[completions["chosen"]], judged[completions["rejected"]])
        assert pair["chosen_score"] > pair["rejected_score"]


def temporal_self_rewarding(shared: Home, record: dict[str, Any]) -> None:
    """Every chosen completion is the current or the future model's, every rejected one the initial model's."""
    stages = ("future/sample", "future/sample_past", "main/sample")
    current, past, future = ({c["completion_id"]: c["model_id"] for c in made(shared, record, s, "completions")} for s in stages)
    trained = {stage: record["stages"][stage]["made"]["model"][0] for stage in ("future/train", "main/train")}
    assert record["made"]["policy"] == trained["main/train"] != trained["future/train"]
    ids = [set(each.values()) for each in (current, past, future)]
    assert [len(each) for each in ids] == [1, 1, 1]
    assert ids[0] != ids[2]
    chosen_from = {"future/filter": [current], "main/filter": [current, future]}
    for stage, sources in chosen_from.items():
        parts = [(s["part"], s["completion_id"]) for s in made(shared, record, stage, "example_sources")]
        chosen = {completion for part, completion in parts if part == "chosen"}
        assert chosen
        assert all(any(completion in source for source in sources) for completion in chosen)
        assert all(completion in past for part, completion in parts if part == "rejected")
    assert chosen & future.keys(), "the future model wrote none of the best answers"


def warm_start_roles(shared: Home, record: dict[str, Any]) -> None:
    """The model learns from lessons alone, some of them about attempts of its own, all exact; its attempts are not learned."""
    attempts = {c["completion_id"]: c for c in made(shared, record, "roles/attempts", "completions")}
    lessons = {c["completion_id"]: c for c in made(shared, record, "roles/lessons", "completions")}
    solutions = [row["completion_id"] for row in made(shared, record, "main/sample", "completions")]
    used = {s["completion_id"] for s in made(shared, record, "roles/filter", "example_sources")}
    assert used == {*lessons, *solutions}
    asked = {p["problem_id"]: records.chat(p["prompt"])[0]["content"] for p in _problems_of(shared, record)}
    own = [lesson for lesson in lessons.values() if lesson["parent_id"] is not None]
    assert own
    for lesson in own:
        wrong = countdown_roles.judged(asked[lesson["problem_id"]], attempts[lesson["parent_id"]]["text"])
        check = countdown_roles.read_check(lesson["text"])
        numbers, target = question(asked[lesson["problem_id"]]) or ((), 0)
        assert check == wrong if check is not None else (wrong and not first_wrong(lesson["text"], numbers, target))


def _problems_of(shared: Home, record: dict[str, Any]) -> list[dict[str, Any]]:
    """The problems that the round sampled for."""
    store = Store(shared.store)
    shards = [store.folder(r) / "problems.parquet" for r in record["stages"]["main/sample"]["read"]["problems"]]
    return tables.read(shards, records.PROBLEMS).to_pylist()
