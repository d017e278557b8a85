"""A campaign: rounds until the planned number is reached, then the closing figures on the test split."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.desk import Desk
from flows.round import evaluate_round, measure, run_round
from lib.round_record import RoundRecord
from tasks.announce import announce_end, announce_metrics


@flow(name="improve", flow_run_name="{campaign}")
def improve(campaign: str, rounds: int | None = None, more: int | None = None) -> dict[str, Any]:
    """Continue a campaign where it stopped and return its figures.

    It goes up to its planned number of rounds, to `rounds`, or by `more` rounds from where it stands (for schedules, which
    leave the test split alone).
    """
    with Desk.at(campaign) as desk:
        measure_base(desk)
        desk.set_stale_aside()
        goal = desk.campaign.rounds if rounds is None else rounds
        if more is not None:
            goal = last_round(desk) + more
        while (following := next_round(desk, goal)) is not None:
            run_round(campaign, *following)
        done = last_round(desk)
        rows = close(desk) if more is None and done and done >= desk.campaign.rounds else []
        return {"campaign": campaign, "rounds": done, "test": rows}


def last_round(desk: Desk) -> int:
    """The number of the last finished round."""
    return max((record.round for record in desk.folder.finished()), default=0)


def measure_base(desk: Desk) -> None:
    """Round 0: how the base model was made, where the campaign made it, and how it stands on validation and gate."""
    if any(record.round == 0 for record in desk.folder.finished()):
        return
    record = desk.folder.base() or RoundRecord(desk.folder.name, 0, 1, start=dict(desk.campaign.base))
    record.state = "running"
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
        model = {**record.start, **record.made}["policy"]
        measure(model, "test", desk.ground(record.round, record.attempt), record, desk)
        measured, record.metrics = record.metrics[len(kept) :], kept  # the test figures stand apart
        rows += [{"round": record.round, "attempt": record.attempt, "state": record.state, **row} for row in measured]
        announce_metrics(measured, record, desk.shop)
        desk.folder.write_round(record)
    desk.folder.write_test(rows)
    rounds = last_round(desk)
    announce_end(desk.folder.name, rounds, f"{rounds} rounds are done", desk.folder.home)
    desk.publisher.kick()
    return rows
