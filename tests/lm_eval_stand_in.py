"""A package `lm_eval` that takes the words of the real one (0.4.13) and leaves its results where that one does.

The form of arguments and file was taken from a run of the real program; the figures are made up: the accuracy of a task is
the length of its name over 100. A task named `endless` never ends, and one named `unknown` fails as the real program does.
"""

from pathlib import Path

from lib.campaign import CampaignFolder
from lib.campaign_settings import Campaign, ProblemPlan
from lib.home import Home
from lib.round_record import RoundRecord
from lib.store import Store
from tests.small_home import SmallHome, model_files

PROGRAM = """
import argparse, json, os, subprocess, sys, time
from pathlib import Path

parser = argparse.ArgumentParser(prog="lm-eval")
for name in ("--model", "--output_path", "--include_path", "--device"):
    parser.add_argument(name)
parser.add_argument("--model_args", nargs="+")
parser.add_argument("--tasks", nargs="+")
parser.add_argument("--limit", type=float)
given = parser.parse_args(sys.argv[2:] if sys.argv[1] == "run" else sys.argv[1:])
args = json.loads(given.model_args[0])
tasks = [task for word in given.tasks for task in word.split(",")]
folder = Path(args["pretrained"])
assert given.model == "hf" and (folder / "config.json").is_file(), "no model"
assert all(os.environ[name] == "1" for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"))
print("Selected Tasks:", tasks, file=sys.stderr, flush=True)
if "unknown" in tasks:
    sys.exit("ValueError: Tasks not found: unknown. Try `lm-eval ls tasks` for list of available tasks.")
if "endless" in tasks:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(os.environ["PIDS"]).write_text(f"{os.getpid()} {child.pid}")
    time.sleep(600)
effective = int(min(given.limit or 50, 50))
results = {
    task: {"name": task, "alias": task, "sample_len": effective, "acc,none": len(task) / 100, "acc_stderr,none": 0.05,
           "exact_match,strict-match": 0.5, "exact_match_stderr,strict-match": "N/A"}
    for task in tasks
}
out = Path(given.output_path) / args["pretrained"].replace("/", "__")
out.mkdir(parents=True)
told = {"results": results, "n-samples": {t: {"original": 50, "effective": effective} for t in tasks},
        "config": {"model": given.model, "model_args": args, "limit": given.limit, "include": given.include_path},
        "lm_eval_version": "0.4.13", "weights": (folder / "model.safetensors").read_text()}
(out / "results_2026-01-02T03-04-05.678901.json").write_text(json.dumps(told))
"""


def write(folder: Path) -> Path:
    """Write the package below a folder, for PYTHONPATH."""
    (folder / "lm_eval").mkdir(parents=True)
    (folder / "lm_eval" / "__init__.py").write_text("")
    (folder / "lm_eval" / "__main__.py").write_text(PROGRAM)
    return folder


def campaign(home: Home) -> tuple[CampaignFolder, dict[int, str]]:
    """A campaign of three finished rounds, the last rejected, and each one's model; their weights say which they are."""
    small, folder = SmallHome(home, Store(home.store)), CampaignFolder(home, "demo")
    files = {n: {**model_files(f"round {n}"), "tokenizer.json": "{}", "chat_template.jinja": "{{ messages }}"} for n in range(3)}
    made = {n: small.publish("train", {"round": n}, {}, {}, files[n]).digest for n in files}
    plan = ProblemPlan({"strategy": "lib.problems.countdown:Countdown"}, {"train": 4})
    folder.create(Campaign("demo", "expert_iteration", {}, 1, plan, {"policy": made[0]}))
    for n, state in enumerate(("accepted", "accepted", "rejected")):
        own = {"policy": made[n]} if n else {}
        folder.write_round(RoundRecord("demo", n, 1, state, start={"policy": made[max(0, n - 1)]}, made=own))
    folder.write_round(RoundRecord("demo", 3, 1, "running", start={"policy": made[1]}))
    return folder, made
