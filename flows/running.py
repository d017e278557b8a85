"""What the commands that run something do: improve, compare, demo, rerun, model new."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows import showing, terminal
from flows.watching import watching
from lib import home as homes
from lib.campaign import CampaignFolder
from lib.errors import UserError
from lib.estimate import evaluation_cost, rates, round_cost
from lib.home import Home
from lib.opening import COUNTS, Opening
from lib.store import Store


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person typed after `improve`; None where they left it out."""

    name: str | None
    recipe: str | None
    settings: list[str]
    rounds: int | None
    seed: int | None
    model: str | None
    problems: int | None
    held_out: int | None
    warm_steps: int | None
    attempts: int | None
    same_problems: bool

    @property
    def campaign(self) -> str:
        return self.name or Path(self.recipe or "expert_iteration").stem

    def given(self) -> frozenset[str]:
        return frozenset(n for n in ("recipe", "settings", "seed", "model", "problems", "held_out") if getattr(self, n) not in (None, []))

    def opening(self) -> Opening:
        """The opening of a new campaign, with defaults for what was left out."""
        held_out = {"validation": self.held_out, "gate": 2 * self.held_out, "test": 2 * self.held_out} if self.held_out else {}
        values: dict[str, Any] = {
            "recipe": self.recipe,
            "settings": pairs(self.settings),
            "seed": self.seed,
            "model": self.model,
            "counts": {**COUNTS, **({"train": self.problems} if self.problems else {}), **held_out},
            "warm_start": {"trainer.steps": str(self.warm_steps)} if self.warm_steps else {},
            "rounds": self.rounds,
            "attempts": self.attempts,
            "fresh": not self.same_problems,
        }
        return Opening.model_validate({name: value for name, value in values.items() if value is not None})


def pairs(settings: list[str]) -> dict[str, str]:
    """NAME=VALUE words as a mapping. Raises UserError for a word without `=`."""
    found = {}
    for word in settings:
        name, equals, value = word.partition("=")
        if not equals:
            raise UserError(f"--set {word}: write it as NAME=VALUE, for instance sampler.n=16")
        found[name] = value
    return found


def improve(asked: Asked, *, wait: bool, remake: bool, as_json: bool) -> None:
    """Begin or continue a campaign, then print its figures."""
    home = homes.current()
    folder = CampaignFolder(home, asked.campaign)
    if folder.exists:
        asked.opening().refuse_other(folder.load(), asked.given())
    else:
        asked.opening().preview()
    with running(home), watching(home, [folder.name], quiet=as_json):
        from flows.desk import Desk
        from flows.improve import improve as flow

        opening = None if folder.exists else asked.opening()
        with Desk.at(asked.campaign, opening=opening, wait=wait, remake=remake):
            found = flow(asked.campaign, asked.rounds)
    if as_json:
        terminal.print_json(found)
    else:
        showing.campaign(folder)


@contextlib.contextmanager
def running(home: Home) -> Iterator[None]:
    """A Prefect server for as long as something runs; Ctrl-C and SIGTERM end in one line and exit status 130."""
    from flows.server import prefect_server
    from lib.forkserver import start_server

    start_server()  # imports what the stages need while the Prefect server starts
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        with prefect_server(home):
            yield
    except KeyboardInterrupt:
        terminal.errors.print("roundhouse: stopped; the same command continues", markup=False)
        raise SystemExit(130) from None


def _interrupted(_signal: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def plan(asked: Asked, as_json: bool) -> None:
    """Print what the rounds still to come would run and cost."""
    home = homes.current()
    folder = CampaignFolder(home, asked.campaign)
    if folder.exists:
        campaign = folder.load()
        recipe, counts, rounds = folder.recipe(), campaign.problems.counts, asked.rounds or campaign.rounds
        done = max((record.round for record in folder.finished()), default=0)
    else:
        opening = asked.opening()
        recipe = opening.preview()
        counts, rounds, done = opening.counts, opening.rounds, 0
    at = rates(Store(home.store))
    costs = [(f"round {n}", cost) for n in range(done + 1, rounds + 1) for cost in round_cost(recipe, counts, at)]
    costs += [("closing", evaluation_cost(recipe, "test", counts["test"] * (rounds + 1), at))]
    rows = [
        {
            "when": when,
            "stage": cost.stage,
            "completions": cost.completions,
            "tokens at most": cost.tokens,
            "steps": cost.steps,
            "about seconds": round(cost.seconds, 1),
            "about MB": round(cost.bytes / 1e6, 1),
        }
        for when, cost in costs
    ]
    total = {name: sum(row[name] for row in rows) for name in rows[0] if name not in ("when", "stage")}
    rows.append({"when": "total", "stage": "", **total})
    measured = "rates measured in this home" if at.measured else "rates of the built-in model on one core"
    terminal.show(rows, f"{asked.campaign}: rounds {done + 1} to {rounds} ({measured}); cached stages cost nothing", as_json)


def compare(
    names: list[str],
    prefix: str,
    rounds: int,
    seed: int,
    settings: list[str],
    more: dict[str, int | None],
    jobs: int | None,
    as_json: bool,
) -> None:
    """Run one campaign for each recipe, then print their figures and the paired differences."""
    for name in names:
        Opening(recipe=name, settings=pairs(settings)).preview()
    home = homes.current()
    options = ["--rounds", str(rounds), "--seed", str(seed)]
    options += [word for setting in settings for word in ("--set", setting)]
    options += [word for option, value in more.items() if value is not None for word in (f"--{option}", str(value))]
    campaigns = {f"{prefix}-{Path(name).stem}": name for name in names}
    with running(home), watching(home, list(campaigns), quiet=as_json):
        from flows.compare import compare as flow

        flow(campaigns, options, jobs or os.cpu_count() or 1)
    showing.comparison(home, list(campaigns), as_json)


def demo(seed: int) -> None:
    """The first thing a newcomer runs: expert iteration beside its control."""
    home = homes.current()
    terminal.console.print(
        "A language model of 162 thousand parameters learns Countdown: reach a target from three numbers.\n"
        "It is warm-started once, then improves over three rounds on what it sampled itself and a verifier accepted.\n"
        "Beside it, a control takes the same training steps on the warm-start data alone.\n",
        markup=False,
    )
    compare(["expert_iteration", "warm_only"], f"demo{seed}" if seed else "demo", 3, seed, [], {}, 2, as_json=False)
    name = f"demo{seed}-expert_iteration" if seed else "demo-expert_iteration"
    terminal.console.print(
        f"\nWhere the model came from:   roundhouse lineage model {name}\n"
        f"What was kept and dropped:   roundhouse query funnel\n"
        f"Every round in MLflow:       mlflow ui --backend-store-uri {home.mlflow_uri}\n",
        markup=False,
        soft_wrap=True,
    )


def rerun(name: str, number: int, stage: str, *, dry_run: bool, remake: bool, wait: bool, as_json: bool) -> None:
    """Run a round again from one of its stages, and say what that changed."""
    home = homes.current()
    folder = CampaignFolder(home, name)
    forced = folder.stage_of(number, stage)
    if dry_run:
        from flows.forecast import forecast

        terminal.show(forecast(folder, number, forced), f"{name} round {number} from {forced}: nothing was run", as_json)
        return
    with running(home), watching(home, [name], quiet=as_json):
        from flows.desk import Desk
        from flows.rerun import rerun as flow

        with Desk.at(name, wait=wait, remake=remake, forced=frozenset({(number, forced)})):
            outcome = flow(name, number)
    if as_json:
        terminal.print_json(outcome)
    else:
        terminal.console.print(outcome["sentence"], markup=False)


def model_new(out: str, seed: int, steps: int | None, as_json: bool) -> None:
    """Build the built-in model in the store and copy it out."""
    home = homes.current()
    target = Path(out).expanduser()
    if target.exists() and any(target.iterdir()):
        raise UserError(f"{target} is not empty; give a new folder")
    opening = Opening(seed=seed, warm_start={"trainer.steps": str(steps)} if steps else {})
    with running(home), terminal.bars(quiet=as_json) as bars:
        from flows.begin import make_model

        digest = make_model(opening, home, lambda label, done, total: bars.set("model", label.stage_path, done / max(total, 1)))
    shutil.copytree(Store(home.store).folder(digest), target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".files.json"))
    if as_json:
        terminal.print_json({"model": digest, "folder": str(target)})
    else:
        terminal.console.print(f"model {digest[:12]} written to {target}; use it with: roundhouse improve --model {target}", markup=False)
