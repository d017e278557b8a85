"""A training that samples for itself: from the weights as they stand, with every row accounted for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lib import models, records, seeds, tables
from lib.engines.huggingface import Huggingface
from lib.engines.openai_server import OpenaiServer
from lib.errors import TooManyUndecided, UserError
from lib.filters.decontaminate import Decontaminate
from lib.filters.group_advantages import GroupAdvantages
from lib.filters.sft_rows import SftRows
from lib.protocols import Machine, Tables, Work, silent
from lib.samplers.independent import Independent
from lib.stages import train
from lib.stages.iterations import Gathering, Iterations
from lib.trainers.loop import opened_writer
from lib.trainers.online_policy_gradient import OnlinePolicyGradient
from lib.verifiers.answer import Answer
from lib.verifiers.judge import Judge
from lib.verifiers.length import Length
from tests.filter_stage import problem
from tests.tiny_models import writer

PROBLEMS = [problem(f"p{n}", f"{n},5,8>45:") for n in range(1, 7)]
HELD_OUT = [problem("h", "3,5,8>45:")]
"""Asks what p3 asks."""

SAMPLER = Independent(n=6, max_new_tokens=12)


def trainer(**settings: Any) -> OnlinePolicyGradient:
    given: dict[str, Any] = {
        "sampler": SAMPLER,
        "verifiers": (Length(unit="tokens", least=8),),
        "filters": (Decontaminate(), GroupAdvantages()),
        "iterations": 3,
        "problems": 4,
        "learning_rate": 0.01,
        "schedule": "constant",
        "warmup_share": 0.0,
    }
    return OnlinePolicyGradient(**(given | settings))


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return writer(tmp_path_factory.mktemp("start"))


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    found = {}
    for name, rows in (("problems", PROBLEMS), ("held_out", HELD_OUT)):
        folder = tmp_path_factory.mktemp(name)
        tables.write(records.PROBLEMS.table(rows), records.PROBLEMS, folder / "problems.parquet")
        found[name] = [folder]
    return found


def trained(one: OnlinePolicyGradient, start: Path, given: dict[str, list[Path]], out: Path, engine: Any = None) -> dict[str, Any]:
    settings = {
        "trainer": one.model_dump(mode="json"),
        "iterations": Iterations().model_dump(mode="json"),
        "engine": (engine or Huggingface()).model_dump(mode="json"),
    }
    out.mkdir()
    return train.run(Work(settings, given, {"start": ("digest", start)}, 7, Machine()), out)


@pytest.fixture(scope="module")
def done(start: Path, given: dict[str, list[Path]], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("done") / "out"
    return out, trained(trainer(), start, given, out)


def rows(out: Path, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tables.read(out / f"{table}.parquet", records.TABLES[table]).to_pylist()
    return found


def test_each_completion_is_in_an_example_or_dropped_once(done: tuple[Path, dict[str, Any]]) -> None:
    out, stats = done
    names = [row["completion_id"] for row in rows(out, "completions")]
    used = [row["completion_id"] for row in rows(out, "example_sources")]
    dropped = [row["id"] for row in rows(out, "dropped")]
    assert sorted(names) == sorted([*used, *dropped])
    assert len(names) == len({*names}) == 3 * 4 * 6 == stats["completions"]
    assert len(rows(out, "verdicts")) == len(names)
    assert {row["example_id"] for row in rows(out, "example_sources")} == {row["example_id"] for row in rows(out, "examples_group")}
    assert stats["tokens_sampled"] == sum(len(row["completion_ids"]) for row in rows(out, "completions"))
    assert stats["examples"] == len(used) > 0
    assert sum(stats["outcomes"].values()) == len(names)


def test_examples_hold_the_tokens_and_log_probabilities_that_were_sampled(done: tuple[Path, dict[str, Any]]) -> None:
    out, _ = done
    completions = {row["completion_id"]: row for row in rows(out, "completions")}
    sources = {row["example_id"]: completions[row["completion_id"]] for row in rows(out, "example_sources")}
    for example in rows(out, "examples_group"):
        sampled = sources[example["example_id"]]
        assert example["input_ids"] == sampled["prompt_ids"] + sampled["completion_ids"]
        assert example["old_logprobs"] == sampled["logprobs"]


def test_a_held_out_problem_is_sampled_and_never_learned(done: tuple[Path, dict[str, Any]]) -> None:
    out, _ = done
    held = {row["completion_id"] for row in rows(out, "completions") if row["problem_id"] == "p3"}
    assert held
    assert {row["reason"] for row in rows(out, "dropped") if row["id"] in held} == {"held out: same problem"}
    assert "p3" not in {row["problem_id"] for row in rows(out, "examples_group")}


def test_the_problems_go_round_in_an_order_of_the_seed(done: tuple[Path, dict[str, Any]]) -> None:
    by_model: dict[str, set[str]] = {}
    for row in rows(done[0], "completions"):
        by_model.setdefault(row["model_id"], set()).add(row["problem_id"])
    assert list(map(len, by_model.values())) == [4, 4, 4]
    assert {*by_model} == {"digest", "digest+1", "digest+2"}
    assert by_model["digest"] | by_model["digest+1"] == {row["problem_id"] for row in PROBLEMS}  # eight of six: all come
    assert by_model["digest"] & by_model["digest+2"]


def test_what_each_iteration_came_to_is_kept(done: tuple[Path, dict[str, Any]]) -> None:
    state = [json.loads(row["value"]) for row in rows(done[0], "state")]
    verdicts = rows(done[0], "verdicts")
    assert len(state) == 3
    assert sum(one["correct"] for one in state) == sum(row["outcome"] == "correct" for row in verdicts)
    assert sum(24 * one["reward_mean"] for one in state) == pytest.approx(sum(one["correct"] for one in state))
    assert {one["learning_rate"] for one in state if one["steps"]} == {0.01}
    assert {row["controller"] for row in rows(done[0], "state")} == {"OnlinePolicyGradient"}


def test_the_same_seed_gives_the_same_bytes(
    done: tuple[Path, dict[str, Any]], start: Path, given: dict[str, list[Path]], tmp_path: Path
) -> None:
    stats = trained(trainer(), start, given, tmp_path / "again")
    assert stats == done[1]
    files = {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()}
    assert files == {path.name: path.read_bytes() for path in done[0].iterdir()}
    assert {"model.safetensors", "config.json", "completions.parquet", "state.parquet"} <= {*files}


def test_the_second_iteration_samples_from_what_the_first_has_learned(
    done: tuple[Path, dict[str, Any]], start: Path, given: dict[str, list[Path]], tmp_path: Path
) -> None:
    trained(trainer(iterations=1), start, given, tmp_path / "one")  # the model as it stood after the first iteration
    assert models.identity(tmp_path / "one")["weights"] != models.identity(start)["weights"]
    second = [row for row in rows(done[0], "completions") if row["model_id"] == "digest+1"]
    asked = Tables(records.PROBLEMS.table([row for row in PROBLEMS if row["problem_id"] in {r["problem_id"] for r in second}]))
    for folder, is_same in ((tmp_path / "one", True), (start, False)):
        engine = Huggingface().open(folder, "digest+1", Machine())
        found = SAMPLER.sample(asked, {"policy": engine}, seeds.seed_of(7, "iteration", 1), silent).to_pylist()
        assert ({row["completion_id"] for row in found} == {row["completion_id"] for row in second}) is is_same


def test_the_role_in_training_may_have_an_engine_of_its_own(
    done: tuple[Path, dict[str, Any]], start: Path, given: dict[str, list[Path]], tmp_path: Path
) -> None:
    settings = {
        "trainer": trainer().model_dump(mode="json"),
        "iterations": Iterations().model_dump(mode="json"),
        "engines": {"policy": Huggingface().model_dump(mode="json")},
    }
    (tmp_path / "out").mkdir()
    assert train.run(Work(settings, given, {"start": ("digest", start)}, 7, Machine()), tmp_path / "out") == done[1]


def test_what_a_judge_writes_inside_a_training_counts_as_sampled(start: Path, given: dict[str, list[Path]], tmp_path: Path) -> None:
    judged = trainer(verifiers=(Judge(template="{completion}", max_new_tokens=3),), undecided_limit=1.0)
    settings = {"trainer": judged.model_dump(mode="json"), "engine": Huggingface().model_dump(mode="json")}
    work = Work(settings, given, {"start": ("digest", start)}, 7, Machine())
    (tmp_path / "aside").mkdir()
    gathering = Gathering("policy", work, judged, tmp_path / "aside")
    gathering.gather(opened_writer(start, Machine(), entropy=True), 0)
    stats = gathering.publish(tmp_path)
    drawn = sum(len(row["completion_ids"]) for row in rows(tmp_path, "completions"))
    written = [row["n_tokens"] for row in rows(tmp_path, "verdicts") if row["raw_text"] is not None]
    assert sum(written) > 0
    assert stats["tokens_sampled"] == drawn + sum(written)


@pytest.mark.parametrize("limit", [0.05, 0.99, 1.0])
def test_an_iteration_with_too_many_undecided_ends_the_training(
    limit: float, start: Path, given: dict[str, list[Path]], tmp_path: Path
) -> None:
    """No problem has a gold answer, so each of an iteration's 4 · 6 verdicts is undecided."""
    one = trainer(verifiers=(Answer(),), undecided_limit=limit)
    told = (
        "found nothing to learn"
        if limit == 1
        else rf"^OnlinePolicyGradient, iteration 0: 24 of 24 verdicts are undecided, over the limit of {limit:.0%}; "
        "the reason of 24 is 'no gold answer': mend that, or raise undecided_limit$"
    )
    with pytest.raises(UserError if limit == 1 else TooManyUndecided, match=told):
        trained(one, start, given, tmp_path / "out")


def test_a_training_that_finds_nothing_to_learn_says_so(start: Path, given: dict[str, list[Path]], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="found nothing to learn in any iteration"):
        trained(trainer(verifiers=(Length(least=1000),)), start, given, tmp_path / "out")


def test_a_server_cannot_sample_from_the_model_in_training(start: Path, given: dict[str, list[Path]], tmp_path: Path) -> None:
    server = OpenaiServer(base_url="http://127.0.0.1:9/v1", server="vllm")
    with pytest.raises(UserError, match="samples from the model that it trains, and OpenaiServer cannot"):
        trained(trainer(), start, given, tmp_path / "out", server)


@pytest.mark.parametrize(
    ("settings", "told"), [({"filters": (SftRows(),)}, "end its filters in what makes them"), ({"epochs": 1.0}, "give steps")]
)
def test_what_it_cannot_train_by_is_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        trainer(**settings)
