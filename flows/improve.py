"""A campaign: rounds until the planned number is reached, then the closing figures on the test split."""

from __future__ import annotations

import logging
from types import FunctionType
from typing import Any

from prefect import Flow, flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from flows.desk import Desk
from flows.round import evaluate_round, measure, run_round
from flows.stopping import passed, stopped
from lib import home as homes
from lib.budget import Budget
from lib.campaign import CampaignFolder
from lib.errors import BudgetSpent, Collected
from lib.round_record import RoundRecord
from tasks.announce import announce_end, announce_metrics
from tasks.outcome import failure_told
from tasks.report import leave_report

log = logging.getLogger(__name__)


@flow(name="improve", flow_run_name="{campaign}")
def improve(
    campaign: str, rounds: int | None = None, more: int | None = None, budget_seconds: float | None = None, budget_tokens: int | None = None
) -> dict[str, Any] | State[Any]:
    """Continue a campaign where it stopped and return its figures.

    It goes up to its planned number of rounds, to `rounds` (which it keeps to from then on, if they are more), or by `more`
    rounds from where it stands (for schedules, which leave the test split alone). A flow run that is retried goes on where it
    failed: the rounds that it finished are done, and count among its `more`. It stops between shards once the campaign has
    spent its budget of device-seconds or tokens.
    """
    try:
        with Desk.at(campaign, budget=Budget(budget_seconds, budget_tokens)) as desk:
            try:
                rows = continued(desk, rounds, more)
            except BudgetSpent:
                report(desk)
                raise
            report(desk)
            return {"campaign": campaign, "rounds": last_round(desk), "test": rows, "stopped": None}
    except BudgetSpent as spent:
        return stopped(spent, CampaignFolder(homes.current(), campaign))


def continued(desk: Desk, rounds: int | None, more: int | None) -> list[dict[str, Any]]:
    """Every round that is still to come, and the closing figures where these were the last."""
    measure_base(desk)
    desk.set_stale_aside()
    if rounds is not None:
        desk.folder.aim(rounds)
    goal = desk.folder.goal if rounds is None else rounds
    whole = root_flow_run()
    if more is not None:
        goal = last_round(desk, but=whole) + more
    while (following := next_round(desk, goal)) is not None:
        passed(subflow(*following)(desk.folder.name, *following, root_flow_run=whole))
    done = last_round(desk)
    return close(desk) if more is None and done and done >= desk.folder.goal else []


def report(desk: Desk) -> None:
    """Leave the report of what is done, if anything is."""
    if desk.folder.finished():
        leave_report(desk.folder)
        desk.publisher.kick()


def root_flow_run() -> str:
    """The id of the outermost flow run that this one is part of; a retry of it has the same."""
    return str(flow_run.root_flow_run_id or "")


def subflow(number: int, attempt: int) -> Flow[..., dict[str, Any] | State[Any]]:
    """The flow `round` under a key that is this attempt's own.

    Prefect (3.8.8, tried) finds the subflow of a run that is retried by its function's name and by how many of that name were
    called before. Under the name that all rounds share, the first round after a retry would be given the result of the first
    one before it, where results are kept, and be left out.
    """
    function = run_round.fn
    own = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    own.__kwdefaults__, own.__annotations__ = function.__kwdefaults__, function.__annotations__
    own.__qualname__ = f"round_{number}_{attempt}"
    found = run_round.with_options()
    found.fn = own
    return found


def last_round(desk: Desk, but: str = "") -> int:
    """The number of the last finished round, not counting those that the flow run `but` made."""
    return max((record.round for record in desk.folder.finished() if not but or record.root_flow_run != but), default=0)


def measure_base(desk: Desk) -> None:
    """Round 0: how the base model was made, where the campaign made it, and how it stands on validation and gate."""
    if any(record.round == 0 for record in desk.folder.finished()):
        return
    record = desk.folder.base() or RoundRecord(desk.folder.name, 0, 1, start=dict(desk.campaign.base))
    record.state = "running"
    with failure_told(desk.folder.name, 0, 1):
        evaluate_round(desk.ground(0, 1), record, desk)
        desk.finish(record)


def next_round(desk: Desk, rounds: int) -> tuple[int, int] | None:
    """Number and attempt of the first round that has not finished, or None when all have.

    A rejected round is tried again while attempts are left; then the campaign goes on from its champion.
    """
    finished = desk.folder.finished()
    for number in range(1, rounds + 1):
        attempts = [record for record in finished if record.round == number]
        if not attempts:
            return number, 1
        last = attempts[-1]
        if last.state == "rejected" and last.attempt < desk.campaign.attempts and number == finished[-1].round:
            return number, last.attempt + 1
    return None


def close(desk: Desk) -> list[dict[str, Any]]:
    """Measure every model of the campaign on the test split, which nothing before has read and nothing decides by."""
    rows: list[dict[str, Any]] = []
    for record in desk.folder.finished():
        kept = list(record.metrics)
        try:
            measure(record.judged(desk.recipe.evaluators), "test", desk.ground(record.round, record.attempt), record, desk)
        except Collected as collected:
            log.warning("round %s has no closing figures: %s", record.round, collected)
            continue
        measured, record.metrics = record.metrics[len(kept) :], kept  # the test figures stand apart
        rows += [{"round": record.round, "attempt": record.attempt, "state": record.state, **row} for row in measured]
        announce_metrics(measured, record, desk.shop)
        desk.folder.write_round(record)
    desk.folder.write_test(rows)
    rounds = last_round(desk)
    announce_end(desk.folder.name, rounds, f"{rounds} rounds are done", desk.folder.home)
    desk.publisher.kick()
    return rows
