"""What every filter and builder of the folder promises: nothing lost, and a result of the rows and the seed alone."""

import hashlib
import random
from pathlib import Path

import pytest

from lib import filters
from lib.filters.balance import Balance
from lib.filters.best_worst_pairs import BestWorstPairs
from lib.filters.cap_per_problem import CapPerProblem
from lib.filters.correct_wrong_pairs import CorrectWrongPairs
from lib.filters.correction_rows import CorrectionRows
from lib.filters.decontaminate import Decontaminate
from lib.filters.dedup import Dedup
from lib.filters.difficulty_band import DifficultyBand
from lib.filters.drop_truncated import DropTruncated
from lib.filters.exp_weights import ExpWeights
from lib.filters.group_advantages import GroupAdvantages
from lib.filters.improved import Improved
from lib.filters.keep import Keep
from lib.filters.keep_correct import KeepCorrect
from lib.filters.length_band import LengthBand
from lib.filters.longest_prefix import LongestPrefix
from lib.filters.minhash_dedup import MinhashDedup
from lib.filters.near_dedup import NearDedup
from lib.filters.random_share import RandomShare
from lib.filters.refined_pairs import RefinedPairs
from lib.filters.role_advantages import RoleAdvantages
from lib.filters.sft_rows import SftRows
from lib.filters.sibling_pairs import SiblingPairs
from lib.filters.sourced_pairs import SourcedPairs
from lib.filters.top import Top
from lib.filters.tree_steps import TreeSteps
from lib.filters.win_pairs import WinPairs
from lib.strategy import Strategy, name_of
from tests.filter_stage import completion, filtered, node, problem, token_scores, verdict

REASONS = {
    Balance(quota=8): {"over the quota"},
    BestWorstPairs(): {"undecided", "no verdict", "no rival", "not chosen"},
    BestWorstPairs(verifier="scorer"): {"no verdict", "no rival", "not chosen"},
    CapPerProblem(n=2): {"over the cap"},
    CorrectWrongPairs(n=2): {"undecided", "no verdict", "no rival", "not chosen"},
    CorrectionRows(): {"wrong", "undecided", "no verdict", "corrects nothing"},
    CorrectionRows(targets="any", n=2): {"wrong", "undecided", "no verdict", "corrects nothing"},
    Decontaminate(): {"held out: same problem"},
    Dedup(across="table"): {"duplicate"},
    DifficultyBand(low=0.2, high=0.8): {"too easy", "too hard", "no pass rate"},
    DropTruncated(): {"truncated"},
    ExpWeights(): {"undecided", "no verdict"},
    GroupAdvantages(): {"undecided", "no verdict", "no rival", "zero variance"},
    GroupAdvantages(kind="reinforce++", adpo=True): {"undecided", "no verdict"},
    GroupAdvantages(verifier="scorer"): {"no verdict", "no rival", "zero variance"},
    Improved(): {"undecided", "no verdict", "no better"},
    Improved(criterion="best", first=False): {"undecided", "no verdict", "not the best", "first attempt"},
    Keep(min_score=0.3, max_score=0.9, where="n_tokens < 4"): {"undecided", "no verdict", "score too low", "score too high", "predicate"},
    KeepCorrect(): {"wrong", "undecided", "no verdict"},
    LengthBand(least=2, most=3): {"too short", "too long"},
    LongestPrefix(): {"shorter"},
    MinhashDedup(): {"near duplicate"},
    NearDedup(): {"near duplicate"},
    NearDedup(measure="jaccard", across="table"): {"near duplicate"},
    RandomShare(most=1): {"not drawn"},
    RefinedPairs(): {
        "undecided",
        "no verdict",
        "original undecided",
        "original no verdict",
        "no better",
        "not turned right",
        "no original",
        "not refined",
    },
    RoleAdvantages(verifier="scorer"): {"no verdict", "no game"},
    SftRows(): set(),
    SiblingPairs(): {"no node", "no value", "no rival", "not chosen"},
    TreeSteps(): {"no node", "undecided"},
    TreeSteps(kind="soft", verifier="v"): {"no node", "undecided"},
    SourcedPairs(chosen_from=("policy",), rejected_from=("past",)): {"another source", "undecided", "no verdict", "no rival", "not chosen"},
    Top(n=2): {"undecided", "no verdict", "below the top"},
    WinPairs(verifier="scorer"): {"no verdict", "no rival", "not chosen"},
}
"""Strategy → every reason that it gives over the rows below; the stage's own are left out."""

STAGE = {"error", "no token to learn"}


def tables(n=140):
    draw = random.Random(7)
    words = ["one", "two", "three", "four"]
    completions = [
        completion(
            f"c{i:03}",
            f"p{draw.randrange(n // 4)}",
            text=" ".join(draw.choices(words, k=draw.randrange(5))),
            completion_ids=draw.choices(range(3, 5), k=draw.randrange(5)),
            step=i % 2,
            role=("policy", "past", "policy", "other")[i % 4],
            episode_id=f"e{i // 6}" if i % 3 else None,
            parent_id=draw.choice([None, f"c{draw.randrange(n):03}", "gone"]),
            finish_reason=draw.choice(["stop", "stop", "stop", "length", "error"]),
        )
        for i in range(n)
    ]
    verdicts = []
    for row in completions:
        for name in draw.choice([("v",), ("v",), ("v", "w"), ()]):
            outcome = draw.choice(["correct", "correct", "wrong", "wrong", "undecided"])
            verdicts.append(verdict(row["completion_id"], outcome, name, score=draw.choice([None, 0.2, 0.4, 1.0])))
        if draw.random() < 0.8:
            verdicts.append(verdict(row["completion_id"], None, "scorer", score=draw.choice([-1.0, 0.5, 2.0])))
    problems = [problem(f"p{i}", f"problem {i}", category=draw.choice(["a", "b", None])) for i in range(n // 4)]
    scored = [token_scores(row["completion_id"], [-draw.random() for _ in row["completion_ids"]]) for row in completions[::2]]
    nodes = []
    for row in completions:
        before = [node for node in nodes if node["problem"] == row["problem_id"]]
        parent = draw.choice([None, *before]) or {"completion_id": None, "depth": 0}
        known = {"depth": parent["depth"] + 1, "tokens": draw.randrange(len(row["completion_ids"]) + 1), "problem": row["problem_id"]}
        value = draw.choice([None, 0.0, 0.5, 1.0])
        nodes.append(node(row["completion_id"], parent["completion_id"], visits=draw.randrange(3), value=value) | known)
    nodes = [{name: cell for name, cell in row.items() if name != "problem"} for row in draw.sample(nodes, 9 * n // 10)]
    return {
        "completions": completions,
        "verdicts": verdicts,
        "problems": problems,
        "held_out": problems[:2],
        "token_scores": scored,
        "nodes": nodes,
    }


def digests(result):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in result.out.iterdir()}


def named(strategy):
    return f"{type(strategy).__name__}-{len(strategy.model_dump_json())}"


@pytest.mark.parametrize("strategy", REASONS, ids=named)
def test_each_completion_is_used_or_dropped_once_for_a_reason_that_was_promised(tmp_path, strategy):
    rows = tables()
    result = filtered(tmp_path, [strategy], **rows)
    dropped = [row["id"] for row in result.rows("dropped")]
    assert sorted([*result.kept, *dropped]) == [c["completion_id"] for c in rows["completions"]]
    assert result.kept
    assert set(result.dropped.values()) - STAGE == REASONS[strategy]


@pytest.mark.parametrize("strategy", REASONS, ids=named)
def test_neither_the_order_nor_the_files_of_the_rows_matter(tmp_path, strategy):
    rows = tables()
    one = filtered(tmp_path / "one", [strategy], **rows)
    other = filtered(tmp_path / "other", [strategy], parts=3, **{name: given[::-1] for name, given in rows.items()})
    assert digests(one) == digests(other)
    assert one.stats == other.stats


@pytest.mark.parametrize("strategy", REASONS, ids=named)
def test_a_strategy_comes_back_from_json_as_it_was(strategy):
    assert type(strategy).model_validate(strategy.model_dump(mode="json")) == strategy


def test_none_of_the_folder_is_left_out():
    """A builder of problems, which makes shards, is held to the same in a file of its own."""
    modules = {path.stem for path in Path(filters.__file__).parent.glob("*.py")}
    tried = {name_of(type(strategy)).partition(":")[0].rpartition(".")[2] for strategy in REASONS}
    helpers = {"__init__", "born_problems", "pairing", "planting", "reference", "resemblance", "tree_values"}
    assert modules - helpers == tried
    assert all(isinstance(strategy, Strategy) for strategy in REASONS)
