"""What work has cost is summed from lines on disk, and a budget is refused in a sentence that says how to go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lib.budget import NAME, NOTHING, Budget, Cost, Spending, facts, job_cost, together
from lib.child import Usage
from lib.errors import BudgetSpent
from lib.job import Job, Label
from lib.round_record import RoundRecord
from lib.worker import Result

SPENT = Cost(tokens=120, device_seconds=7.5, seconds=9.0)
LABEL = Label("one", 1, "main", "sample")


def test_costs_add_up_and_unknown_ones_are_nothing():
    assert together([SPENT, Cost(1, 0.5, 1.0), NOTHING]) == Cost(121, 8.0, 10.0)
    assert Cost.of({}) == together([]) == NOTHING


def test_spending_is_what_was_noted_and_a_line_cut_short_is_passed_over(tmp_path: Path):
    spending = Spending(tmp_path)
    assert spending.total() == NOTHING
    spending.add("one r1 main/sample 1/2", SPENT)
    with (tmp_path / NAME).open("a") as file:
        file.write('\n{"label": "one r1 main/sample 2/2", "tok')
    assert Spending(tmp_path).total() == SPENT
    spending.add("one r1 main/sample 2/2", SPENT)
    assert Spending(tmp_path).total() == SPENT + SPENT


def test_work_of_no_campaign_is_noted_nowhere(tmp_path: Path):
    Spending(tmp_path / "none").add("verify r0 verify/read", SPENT)
    assert not (tmp_path / "none").exists()


def test_notes_survive_a_kill(tmp_path: Path):
    code = (
        "import sys; from pathlib import Path; from lib.budget import Cost, Spending\n"
        "spending = Spending(Path(sys.argv[1]))\n"
        "while True: spending.add('x', Cost(tokens=1)); print(flush=True)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    noted = 0
    while noted < 20:
        assert child.stdout.readline()
        noted += 1
    os.kill(child.pid, signal.SIGKILL)
    child.communicate(timeout=30)
    assert Spending(tmp_path).total().tokens >= noted


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        (Budget(tokens=120), r"^one is stopped by its budget: 120 of 120 tokens are spent; .*goes on with --budget-tokens 240$"),
        (Budget(seconds=5.0), r"7\.5 of 5 device-seconds are spent; .*with --budget-seconds 13$"),
        (Budget(5.0, 100), r"120 of 100 tokens and 7\.5 of 5 device-seconds .*with --budget-seconds 13 --budget-tokens 220$"),
        (Budget(100.0, 100), r"120 of 100 tokens are spent; .*with --budget-seconds 100 --budget-tokens 220$"),
        (Budget(tokens=0), r"120 of 0 tokens are spent; .*goes on without a budget$"),
    ],
)
def test_a_budget_that_is_spent_says_what_and_how_to_go_on(budget: Budget, said: str):
    with pytest.raises(BudgetSpent, match=said):
        budget.refuse("one", SPENT)


@pytest.mark.parametrize("budget", [Budget(), Budget(tokens=121), Budget(seconds=7.6), Budget(7.6, 121)])
def test_a_budget_with_something_left_lets_work_begin(budget: Budget):
    budget.refuse("one", SPENT)
    if budget != Budget():
        with pytest.raises(BudgetSpent):
            budget.refuse("one", together([SPENT, Cost(1, 0.1, 0.1)]))


@pytest.mark.parametrize(
    ("strategy", "needs_device", "cost"),
    [
        ("lib.samplers.independent:Independent", True, Cost(50, 2.0, 3.0)),
        ("lib.samplers.reference_solutions:ReferenceSolutions", True, Cost(0, 2.0, 3.0)),
        ("lib.samplers.recorded:Recorded", False, Cost(0, 0.0, 3.0)),
        (None, False, Cost(50, 0.0, 3.0)),
    ],
)
def test_a_job_costs_the_tokens_that_a_model_wrote_and_the_seconds_that_it_held_a_device(strategy: str, needs_device: bool, cost: Cost):
    settings = {"sampler": {"strategy": strategy}} if strategy else {}
    result = Result({"tokens_sampled": 50}, Usage(seconds=2.0, cpu_seconds=1.5, max_rss_bytes=1, cuda_max_bytes=0), None)
    assert job_cost(Job("sample", LABEL, settings, needs_device=needs_device), result, 3.0) == cost


def test_a_campaign_tells_what_it_spent_and_what_its_rounds_reused(tmp_path: Path):
    stage = {"cost": {"spent": {"tokens": 5}, "reused": {"tokens": 70, "device_seconds": 1.0, "seconds": 2.0}}}
    rounds = [RoundRecord("one", 1, 1, stages={"main/sample": stage, "main/train": {"jobs": []}}), RoundRecord("one", 2, 1)]
    Spending(tmp_path).add("one r1 main/sample", SPENT)
    found = facts(tmp_path, rounds)
    assert found["spent"] == {"tokens": 120, "device_seconds": 7.5, "seconds": 9.0}
    assert found["reused"] == {"tokens": 70, "device_seconds": 1.0, "seconds": 2.0}
