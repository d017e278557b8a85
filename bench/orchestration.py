"""What Prefect, MLflow, content keys and child processes cost: a campaign against a plain script over the same stages.

Both sides run the rounds of expert iteration from the same base model, over the same problems, with the same seeds, and
must end with the same model. The plain side calls each stage function in one process, one after the other, and publishes
into a store, because the next stage reads from there; no Prefect, no MLflow, no child. Start-up (imports, servers, opening
the campaign) is left out on both sides. Then the last round is taken out of the record and run again, all of it cached.

    python bench/orchestration.py [--repeats 3] [--rounds 2] [--quick]
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from lib.environment import quiet_environment

OUT = Path(__file__).parent / "out" / "orchestration.json"


def main() -> None:
    """Measure, print a table, and write it to bench/out/."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a small campaign, once: shows that it runs, not what it costs")
    asked = parser.parse_args()
    quiet_environment()
    folder = Path(tempfile.mkdtemp(prefix="roundhouse-bench-"))
    try:
        os.environ["ROUNDHOUSE_HOME"] = str(folder / "home")
        rows = measured(folder, 1 if asked.quick else asked.repeats, 1 if asked.quick else asked.rounds, asked.quick)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    ratios = [row["campaign"] / row["plain"] for row in rows]
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for row in rows:
        print("  ".join(f"{name} {value:7.2f} s" for name, value in row.items()))
    print(f"campaign / plain: median {statistics.median(ratios):.3f} (from {min(ratios):.3f} to {max(ratios):.3f})")
    print(f"a round that is all cached: median {statistics.median(row['cached round'] for row in rows):.2f} s")
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps({"machine": platform.platform(), "cores": os.cpu_count(), "rows": rows, "ratios": ratios}, indent=2))


def measured(folder: Path, repeats: int, rounds: int, quick: bool) -> list[dict[str, float]]:
    """Seconds of each side, a row a repeat; both sides of a row follow each other."""
    from flows.server import prefect_server
    from lib import home as homes
    from lib.forkserver import start_server
    from lib.opening import Opening

    start_server()
    counts = {"train": 100, "validation": 20, "gate": 20, "test": 40} if quick else {}
    settings = {"trainer.steps": "10"} if quick else {}
    with prefect_server(homes.current()):
        base = base_model(folder / "base", 20 if quick else 1400)
        recipe = "no_filter" if quick else "expert_iteration"  # a model of twenty steps solves nothing that a filter would keep
        opening = Opening(recipe=recipe, model=str(base), counts=counts, settings={**settings, "trainer.replay": "[]"}, rounds=rounds)
        rows = []
        for repeat in range(repeats):
            campaign, cached, ours = campaign_seconds(folder / f"campaign-{repeat}", opening)
            plain, theirs = plain_seconds(folder / f"plain-{repeat}", opening)
            assert ours == theirs, "the two sides did not make the same model"
            rows.append({"campaign": campaign, "plain": plain, "cached round": cached})
        return rows


def base_model(folder: Path, steps: int) -> Path:
    """The built-in model, warm-started, outside both homes."""
    from flows.begin import make_model
    from lib import home as homes
    from lib.opening import Opening
    from lib.store import Store
    from tasks.workshop import silent

    home = homes.current()
    made = make_model(Opening(warm_start={"trainer.steps": str(steps)}), home, silent)
    shutil.copytree(Store(home.store).folder(made), folder, ignore=shutil.ignore_patterns(".files.json"))
    return folder


def campaign_seconds(home: Path, opening: Any) -> tuple[float, float, str]:
    """Wall seconds of a campaign's rounds through the flows, of its last round all cached, and its last model."""
    from flows.desk import Desk
    from flows.improve import improve
    from flows.round import run_round

    os.environ["ROUNDHOUSE_HOME"] = str(home)
    with Desk.at("bench", opening=opening) as desk:
        started = time.perf_counter()
        improve("bench")
        seconds = time.perf_counter() - started
        last = desk.folder.record(opening.rounds)
        desk.folder.set_aside(last)
        started = time.perf_counter()
        again = run_round("bench", opening.rounds)
        cached = time.perf_counter() - started
        assert again["made"] == last.made
    return seconds, cached, last.made["policy"]


def plain_seconds(home: Path, opening: Any) -> tuple[float, str]:
    """Wall seconds of the same stages, called one after the other in this process, and the last model."""
    from flows.begin import open_campaign
    from flows.improve import next_round
    from flows.round import evaluate_round
    from lib import home as homes
    from lib.campaign import CampaignFolder

    os.environ["ROUNDHOUSE_HOME"] = str(home)
    shop = plain_workshop(homes.current())
    folder = CampaignFolder(shop.home, "bench")
    open_campaign(folder, opening, *opening.resolve(folder), shop)
    desk = PlainDesk(folder, shop)
    started = time.perf_counter()
    record = desk.record(0, 1)
    evaluate_round(desk.ground(0, 1), record, desk)
    folder.write_round(record)
    while (following := next_round(desk, opening.rounds)) is not None:
        record = desk.run(*following)
    desk.measure_test()
    return time.perf_counter() - started, record.made["policy"]


class PlainDesk:
    """As much of a desk as the stages need: the campaign, its problems and a workshop without Prefect."""

    def __init__(self, folder: Any, shop: Any) -> None:
        from lib.recipe import Recipe
        from tasks.problems import held_out

        self.folder, self.shop, self.campaign = folder, shop, folder.load()
        self.recipe = Recipe.model_validate(self.campaign.recipe)
        self.held_out = held_out(self.campaign.problems, folder.name, shop)

    def ground(self, number: int, attempt: int) -> Any:
        from flows.desk import ground_of
        from tasks.problems import training

        problems = training(self.campaign.problems, number, self.folder.name, self.shop)
        return ground_of(self.folder, self.campaign, problems, self.held_out, number, attempt)

    def record(self, number: int, attempt: int) -> Any:
        from lib.round_record import RoundRecord

        return RoundRecord(self.folder.name, number, attempt, start=dict(self.ground(number, attempt).models["previous"]))

    def save(self, record: Any) -> None:
        self.folder.write_round(record)

    def run(self, number: int, attempt: int) -> Any:
        """One round: the same phases, evaluation and gate as the flow's."""
        from flows.phases import run_phases
        from flows.round import evaluate_round

        ground = self.ground(number, attempt)
        record = self.record(number, attempt)
        run_phases(self.recipe, ground, record, self.shop, self.folder.write_round)
        evaluate_round(ground, record, self)
        self.folder.write_round(record)
        return record

    def measure_test(self) -> None:
        from tasks.evaluate import evaluate

        for record in self.folder.finished():
            model = {**record.start, **record.made}["policy"]
            ground = self.ground(record.round, record.attempt)
            evaluate(self.recipe, model, "test", self.held_out["test"], ground, self.shop)


def plain_workshop(home: Any) -> Any:
    """A workshop that runs each stage function here and now."""
    from lib.job import Job
    from tasks.workshop import Done, Workshop

    class Plain(Workshop):
        def foresee(self, job: Job) -> Done:
            key, ingredients = self.key_of(job)
            found = self.store.lookup(key)
            if found is None:
                with self.store.workspace() as out:
                    stats = importlib.import_module(f"lib.stages.{job.kind}").run(self._work(job), out)
                    found = self.store.publish(out, key, ingredients, {}, stats)
            return Done(job.label, found, reused=False)

    return Plain(home)


if __name__ == "__main__":
    main()
