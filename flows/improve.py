"""A campaign: rounds until the planned number is reached, then the closing figures on the test split."""

from __future__ import annotations

import logging
import time
from types import FunctionType
from typing import Any

from prefect import Flow, flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from flows.desk import Desk
from flows.enough import enough
from flows.round import evaluate_round, measure, run_round
from flows.stopping import ended, passed, stopped
from lib import home as homes
from lib import loop_tokens
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
    campaign: str,
    rounds: int | None = None,
    more: int | None = None,
    budget_seconds: float | None = None,
    budget_tokens: int | None = None,
    budget_loop_tokens: int | None = None,
) -> dict[str, Any] | State[Any]:
    """Continue a campaign where it stopped and return its figures.

    It goes up to its planned number of rounds, to `rounds` (which it keeps to from then on, if they are more), or by `more`
    rounds from where it stands (for schedules, which leave the test split alone). A flow run that is retried goes on where it
    failed: the rounds that it finished are done, and count among its `more`. It stops between shards once the campaign has
    spent its budget of device-seconds or tokens, between rounds once its recipe's own rule says that it is enough, and before a
    round that would not fit into its budget for the loop; then the closing figures are those of the rounds that are done.
    """
    try:
        with Desk.at(campaign, budget=Budget(budget_seconds, budget_tokens, budget_loop_tokens)) as desk:
            try:
                rows, reason = continued(desk, rounds, more)
            except BudgetSpent:
                report(desk)
                raise
            report(desk)
            figures = {"campaign": campaign, "rounds": last_round(desk), "test": rows, "stopped": None, "enough": reason or None}
            return ended(figures, desk.folder)
    except BudgetSpent as spent:
        return stopped(spent, CampaignFolder(homes.current(), campaign))


def continued(desk: Desk, rounds: int | None, more: int | None) -> tuple[list[dict[str, Any]], str]:
    """Every round that is still to come, and the closing figures where these were the last; and why the recipe ended it, if it did."""
    measure_base(desk)
    desk.set_stale_aside()
    if rounds is not None:
        desk.folder.aim(rounds)
    goal = desk.folder.goal if rounds is None else rounds
    whole = root_flow_run()
    if more is not None:
        goal = last_round(desk, but=whole) + more
    reason = ""
    while (following := next_round(desk, goal)) is not None and not is_over(desk):
        if following[1] == 1 and (reason := enough(desk, goal)):
            break
        passed(subflow(*following)(desk.folder.name, *following, root_flow_run=whole))
    done = last_round(desk)
    is_last = bool(reason) or (done and (done >= desk.folder.goal or is_over(desk)))
    return (close(desk, reason) if more is None and is_last else []), reason


def is_over(desk: Desk) -> bool:
    """Whether another round would not fit into the budget for the loop, if it took as many tokens as the one before."""
    limit = desk.shop.budget.loop_tokens if desk.shop.budget else None
    taken = [loop_tokens.taken(record, desk.shop.store).total for record in desk.folder.finished() if record.round]
    return limit is not None and sum(taken) + sum(taken[-1:]) > limit


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
    started = time.monotonic()
    with failure_told(desk.folder.name, 0, 1):
        evaluate_round(desk.ground(0, 1), record, desk)
        record.seconds += time.monotonic() - started
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


def close(desk: Desk, reason: str = "") -> list[dict[str, Any]]:
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
    announce_end(desk.folder.name, rounds, reason or f"{rounds} rounds are done", desk.folder.home)
    desk.publisher.kick()
    return rows
