"""What every recipe with a published claim gains here, seed by seed, and whether the claim holds: bench/recipes.json and .md.

Runs in slices, on as many machines as there are: each seed of the recipes asked for is one comparison (`roundhouse compare`),
and every campaign that is done is written into bench/recipes.json, one a line, with what later sums need: tokens, metrics, what
stages said of themselves, and how each validation problem came out. What is in the file with the same settings is not run again,
so that a slice can be stopped, given again, and continued elsewhere by taking the file along. The page is made of the file
alone. The home is bench/out/recipes unless ROUNDHOUSE_HOME is set.

    python bench/recipes.py [--recipes a,b] [--seeds 0,1] [--rounds 4] [--jobs 2] [--page] [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import recipes_claims as claims  # noqa: E402
from bench import recipes_figures, recipes_page  # noqa: E402
from lib import recipe  # noqa: E402
from lib.comparison_settings import Member  # noqa: E402
from lib.course import course  # noqa: E402
from lib.files import write_atomically  # noqa: E402
from lib.home import Home  # noqa: E402

Json = dict[str, Any]

HERE = ROOT / "bench"
FULL = ["--warm-start", "warm_start_roles", "--count", "1000", "--held-out", "300", "--set", "gate=null"]
"""All begin with the model that knows the roles some of them need, and each is followed wherever it goes, or what a gate adds to
some would be taken for the method's. 300 problems of validation and of test, 600 for the gate."""
OWN = {"sec": {"controllers.0.count": 500}, "uniform_curriculum": {"controllers.0.count": 500}}
"""Recipe → its own settings: a curriculum chooses half of the problems, or there would be nothing to choose."""
MOST_STEPS = 300
"""Steps of a training, where a recipe has more, so that twenty-one recipes over three seeds take hours and not a day."""
QUICK = ["--count", "40", "--held-out", "12", "--warm-steps", "300"]


def main() -> None:
    """Run what is missing of the slice, then write the file and the page."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    asked = arguments()
    out = HERE / "out" / "recipes-quick.json" if asked.quick else HERE / "recipes.json"
    home = Path(os.environ.get("ROUNDHOUSE_HOME") or HERE / "out" / ("recipes-quick" if asked.quick else "recipes"))
    failed = []
    if not asked.page:
        settings = {
            "rounds": 1 if asked.quick else asked.rounds,
            "options": QUICK if asked.quick else FULL,
            "most_steps": 5 if asked.quick else MOST_STEPS,
        }
        names = ["expert_iteration", "no_filter"] if asked.quick else asked.recipes.split(",")
        for seed in [0] if asked.quick else [int(word) for word in asked.seeds.split(",")]:
            failed += run(home, out, known(names), seed, settings, asked.jobs)
    rows = load(out)
    write_atomically(out.with_suffix(".md"), recipes_page.page(rows))
    print(f"{len(rows)} campaigns in {out}; the page is {out.with_suffix('.md')}")
    if failed:
        sys.exit(f"not done: {', '.join(failed)}; the same command tries again")


def arguments() -> argparse.Namespace:
    """What was typed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", default=",".join(claims.recipes()), help="which of them; all that claims name unless given")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--page", action="store_true", help="only make the page of the file")
    parser.add_argument("--quick", action="store_true", help="two small campaigns, in bench/out: shows that it runs")
    return parser.parse_args()


def known(names: list[str]) -> list[str]:
    """Those that are in lib/recipes; the others are named."""
    there = [name for name in names if name in recipe.names()]
    if missing := [name for name in names if name not in there]:
        print(f"not in lib/recipes, and left out: {', '.join(missing)}")
    return there


def run(home: Path, out: Path, names: list[str], seed: int, settings: Json, jobs: int) -> list[str]:
    """Run the campaigns of one seed that the file lacks and keep those that are done; the others."""
    there = {row["recipe"] for row in load(out) if (row["seed"], row["settings"]) == (seed, with_own(row["recipe"], settings))}
    lacking = [name for name in names if name not in there]
    if not lacking:
        print(f"seed {seed}: all {len(names)} are in the file")
        return []
    every = grown(home, seed, lacking)
    words = ["compare", "--name", f"bench{seed}", "--recipes", ",".join(every), "--seed", str(seed), "--seeds", "1"]
    words += ["--rounds", str(settings["rounds"]), "--jobs", str(jobs), "--json", *settings["options"]]
    for recipe_name in every:
        own = {**OWN.get(recipe_name, {}), **dict.fromkeys(long_trainings(recipe_name, settings["most_steps"]), settings["most_steps"])}
        words += [word for path, value in own.items() for word in ("--set", f"{recipe_name}:{path}={value}")]
    environment = {**os.environ, "ROUNDHOUSE_HOME": str(home), "PYTHONPATH": str(ROOT)}
    members = [Member(f"bench{seed}-{name}-seed{seed}", name, seed) for name in lacking]
    try:
        subprocess.run([sys.executable, "-m", "flows.cli", *words], env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
    finally:  # one that is stopped keeps what is done
        undone = [f"{member.recipe} (seed {seed})" for member in members if not keep(home, out, member, settings)]
    return undone


def with_own(name: str, settings: Json) -> Json:
    """What a recipe's campaigns begin with: what all have, and its own."""
    return {**settings, "own": OWN.get(name, {})}


def long_trainings(name: str, most: int) -> list[str]:
    """The settings of a recipe by which its trainings are longer than `most` steps."""
    found, _ = recipe.load(name)
    trainers = [stage.run[0] for _, stage in found.stages() if stage.verb == "train"]
    places = zip(recipe.places(found.dump(), "trainer"), trainers, strict=True)
    return [f"{place}.steps" for place, trainer in places if (getattr(trainer, "steps", None) or 0) > most]


def grown(home: Path, seed: int, names: list[str]) -> list[str]:
    """The recipes that this home's comparison of a seed has already, and those that come to it."""
    path = home / "comparisons" / f"bench{seed}" / "comparison.json"
    before = json.loads(path.read_text())["recipes"] if path.is_file() else []
    return list(dict.fromkeys([*before, *names]))


def keep(home: Path, out: Path, member: Member, settings: Json) -> bool:
    """Put a campaign that is done into the file, in the place of what it had of this recipe and seed."""
    found = course(Home(home.resolve()), member)
    if found is None or max(found.tokens) < settings["rounds"]:
        return False
    told = recipes_figures.campaign(Home(home.resolve()), found, {"pass_at_1", *claims.metrics(member.recipe)})
    begun = with_own(member.recipe, settings)
    row = {"recipe": member.recipe, "seed": member.seed, "settings": begun, "machine": platform.platform(), **told}
    others = [one for one in load(out) if (one["recipe"], one["seed"]) != (member.recipe, member.seed)]
    rows = sorted([*others, row], key=lambda one: (one["recipe"], one["seed"]))
    lines = ",\n".join(json.dumps(one, separators=(",", ":"), sort_keys=True) for one in rows)
    write_atomically(out, f"[\n{lines}\n]\n")
    return True


def load(out: Path) -> list[Json]:
    """The campaigns in the file."""
    return json.loads(out.read_text()) if out.is_file() else []


if __name__ == "__main__":
    main()
