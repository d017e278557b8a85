"""A campaign: rounds until the planned number is reached, then the closing figures on the test split."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.desk import Desk
from flows.round import evaluate_round, measure, run_round
from lib.campaign import RoundRecord
from tasks.announce import announce_end, announce_metrics


@flow(name="improve", flow_run_name="{campaign}")
def improve(campaign: str, rounds: int | None = None, more: int | None = None) -> dict[str, Any]:
    """Continue a campaign where it stopped and return its figures.

    It goes up to its planned number of rounds, to `rounds`, or by `more` rounds from where it stands (for schedules).
    """
    with Desk.at(campaign) as desk:
        measure_base(desk)
        goal = desk.campaign.rounds if rounds is None else rounds
        if more is not None:
            goal = max((record.round for record in desk.folder.finished()), default=0) + more
        while (following := next_round(desk, goal)) is not None:
            run_round(campaign, *following)
        return close(desk)


def measure_base(desk: Desk) -> None:
    """Round 0: the starting model on validation and on the gate's split."""
    if any(record.round == 0 for record in desk.folder.finished()):
        return
    ground = desk.ground(0, 1)
    record = RoundRecord(desk.folder.name, 0, 1, start=dict(desk.campaign.base))
    evaluate_round(ground, record, desk)
    desk.finish(record)


def next_round(desk: Desk, rounds: int) -> tuple[int, int] | None:
    """Number and attempt of the round to run now, or None when the campaign is complete.

    A rejected round is tried again while attempts are left; then the campaign goes on from its champion.
    """
    finished = [record for record in desk.folder.finished() if record.round > 0]
    if not finished:
        return (1, 1) if rounds else None
    last = finished[-1]
    if last.state == "rejected" and last.attempt < desk.campaign.attempts:
        return last.round, last.attempt + 1
    return (last.round + 1, 1) if last.round < rounds else None


def close(desk: Desk) -> dict[str, Any]:
    """Measure every model of the campaign on the test split, which nothing before has read and nothing decides by."""
    finished = desk.folder.finished()
    rows: list[dict[str, Any]] = []
    for record in finished:
        closing = RoundRecord(record.campaign, record.round, record.attempt, stages=dict(record.stages))
        model = {**record.start, **record.made}["policy"]
        measure(model, "test", desk.ground(record.round, record.attempt), closing, desk)
        rows += [{"round": record.round, "attempt": record.attempt, "state": record.state, **row} for row in closing.metrics]
        announce_metrics(closing.metrics, record.campaign, record.round, record.attempt, desk.shop)
        record.stages = closing.stages
        desk.folder.write_round(record)
    desk.folder.write_test(rows)
    rounds = max(record.round for record in finished)
    announce_end(desk.folder.name, rounds, f"{rounds} rounds are done", desk.folder.home)
    desk.publisher.kick()
    return {"campaign": desk.folder.name, "rounds": rounds, "test": rows}
