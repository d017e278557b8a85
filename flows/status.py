"""`roundhouse status`: campaigns, rounds, stages and shards as they stand, once or live, for people and as JSON."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from flows import scheduled, showing, terminal, wording
from flows.standing import Facts, Standing, comparisons, every
from lib import budget
from lib import comparison as compared
from lib import home as homes
from lib.campaign import CampaignFolder
from lib.errors import UserError
from lib.home import Home

REDRAW_SECONDS = 0.5
ASK_SECONDS = 10.0
"""How often a watch asks the Prefect server for what is scheduled."""


def status(name: str | None, *, watch: bool, as_json: bool) -> None:
    """All campaigns, or one with its rounds; once, or again and again until Ctrl-C."""
    home = homes.to_read()
    if name is not None:
        folder = CampaignFolder(home, name)
        if folder.exists or not (folder.path / "campaign.lock").exists():  # else its beginning was cut short, and that is shown
            folder.load()
    if watch and as_json:
        raise UserError("--watch is for people, and --json for programs, which can ask again; leave one of them out")
    board = Board(home, name)
    if as_json:
        terminal.print_json(board.facts())
    elif watch:
        _watch(board)
    else:
        terminal.put(board.shown())


class Board:
    """What status shows, gathered anew at every look."""

    def __init__(self, home: Home, name: str | None) -> None:
        self._home = home
        self._name = name
        self._standings: dict[str, Standing] = {}
        self._runs: list[Facts] = []
        self._asked = -ASK_SECONDS
        self._tested: tuple[int | None, list[Facts]] = None, []
        """When the test figures were last written, and what they are."""

    def facts(self) -> Facts:
        """Everything, in numbers."""
        if self._name is None:
            campaigns = [standing.facts() for standing in self._all()]
            return {"campaigns": campaigns, "comparisons": comparisons(self._home), "scheduled": self._scheduled()}
        standing = self._standing(CampaignFolder(self._home, self._name))
        runs = [run for run in self._scheduled() if run["campaign"] in (None, self._name)]
        history = [showing.round_facts(record) for record in standing.rounds()]
        costs = budget.facts(standing.folder.path, standing.rounds())
        return {**standing.facts(), **costs, "history": history, "decided": standing.decided(), "test": self._test(), "scheduled": runs}

    def shown(self) -> list[RenderableType]:
        """The same for people."""
        found = self.facts()
        runs = [Text(wording.scheduled(run, time.time())) for run in found["scheduled"]]
        if self._name is not None:
            return terminal.apart([*_details(found), runs])
        table = terminal.table([wording.row(facts) for facts in found["campaigns"]], f"campaigns in {self._home.campaigns}")
        more = [[Text(line) for line in wording.at_work(facts) or wording.reason(facts)] for facts in found["campaigns"]]
        side_by_side = [Text(wording.comparison(facts)) for facts in found["comparisons"]]
        return terminal.apart([[table], *more, side_by_side, runs])

    def stages(self) -> Iterable[tuple[str, str]]:
        """Campaign and what it is at, for those that run."""
        for standing in self._all():
            facts = standing.facts()
            if facts.get("now") and self._name in (None, facts["campaign"]):
                yield facts["campaign"], wording.doing(facts)

    def _all(self) -> list[Standing]:
        return [self._standing(folder) for folder in every(self._home)]

    def _standing(self, folder: CampaignFolder) -> Standing:
        return self._standings.setdefault(folder.name, Standing(folder))

    def _scheduled(self) -> list[Facts]:
        if time.monotonic() - self._asked >= ASK_SECONDS:
            self._asked, self._runs = time.monotonic(), scheduled.upcoming(self._home)
        return self._runs

    def _test(self) -> list[Facts]:
        folder = CampaignFolder(self._home, self._name or "")
        path = folder.path / "test.json"
        changed = path.stat().st_mtime_ns if folder.exists and path.is_file() else None
        if changed != self._tested[0]:
            self._tested = changed, showing.standing_facts(compared.standings(self._home, folder.name)) if changed else []
        return self._tested[1]


def _details(found: Facts) -> list[list[RenderableType]]:
    name, history = found["campaign"], found["history"]
    return [
        [Text(line) for line in wording.summary(found) + wording.spending(found)],
        [Text(line) for line in wording.at_work(found)],
        [terminal.table(showing.round_rows(history), f"{name}: validation")] if history else [],
        [Text(f"round {row['round']} {row['decision']}") for row in history if row["decision"] and row["round"]],
        [Text(wording.decided(decision)) for decision in found["decided"]],
        [terminal.table(showing.standing_rows(found["test"]), f"{name}: test, read once")] if found["test"] else [],
    ]


def _watch(board: Board) -> None:
    """Redraw until Ctrl-C or SIGTERM, which leave the terminal as it was; on a pipe, a line for whatever is new."""
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        if terminal.console.is_terminal:
            _redraw(board)
        else:
            _tell(board)
    except KeyboardInterrupt:
        return


def _redraw(board: Board) -> None:
    from rich.live import Live

    with Live(console=terminal.console, auto_refresh=False, screen=False) as live:
        while True:
            live.update(Group(*board.shown()), refresh=True)
            time.sleep(REDRAW_SECONDS)


def _tell(board: Board) -> None:
    told: dict[str, str] = {}
    while True:
        for name, words in board.stages():
            if told.get(name) != words:
                told[name] = words
                terminal.put([Text(f"{name}: {words}")])
        time.sleep(REDRAW_SECONDS)


def _interrupted(_signal: int, _frame: Any) -> None:
    raise KeyboardInterrupt
