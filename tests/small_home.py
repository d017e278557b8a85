"""A home with one campaign of two rounds, made by the store's and the campaign's own writers, without any model run.

Four problems in two shards. Of each problem the base (and then round 1's) model writes two completions; the first is
correct but for problem 3. Round 2 learns from both rounds' completions, is rejected, and caps problem 0.
"""

import shutil
from dataclasses import dataclass, field, replace

from lib import keys, models, records, seeds, tables
from lib.campaign import CampaignFolder
from lib.campaign_settings import Campaign, ProblemPlan
from lib.files import write_json
from lib.home import Home
from lib.round_record import RoundRecord
from lib.store import Store
from tests.filter_stage import completion, problem, verdict

PROBLEMS = [seeds.short_id("problem", n) for n in range(4)]
HOSTILE = "8+1=9\x1b]0;owned\x07"
"""What round 1's model wrote for problem 0: a correct answer that would rename a terminal."""


def completion_id(model, number, index, split="train"):
    return seeds.short_id(model, PROBLEMS[number], index, split)


def example_id(of):
    return seeds.short_id("sft", of)


@dataclass
class SmallHome:
    home: Home
    store: Store
    random: str = ""
    base: str = ""
    first: str = ""
    second: str = ""
    warm: str = ""
    """The examples of the base model's warm start."""
    examples: dict = field(default_factory=dict)
    """Round → its examples."""

    def copy(self, home):
        """The same in another home, for a test that writes to it; sooner made than built again."""
        shutil.copytree(self.home.root, home.root, dirs_exist_ok=True)
        return replace(self, home=home, store=Store(home.store))

    def publish(self, kind, settings, inputs, playing, files, seed=7, rows=None, stats=None):
        """Publish {file: text, or (spec, rows)} as a stage would; `playing` maps a role to a model's digest."""
        identities = {role: models.identity(self.store.folder(digest)) for role, digest in playing.items()}
        contents = {name: [self.store.content(ref) for ref in refs] for name, refs in inputs.items()}
        made = {"kind": kind, "settings": settings, "inputs": contents, "models": identities}
        made |= {"code": {"lib.stages": "a" * 64}, "versions": {"torch": "2.13.0"}, "seed": seed}
        with self.store.workspace() as out:
            for name, content in files.items():
                (out / name).parent.mkdir(parents=True, exist_ok=True)
                if isinstance(content, str):
                    (out / name).write_text(content)
                else:
                    tables.write(content[0].table(content[1]), content[0], out / name)
            return self.store.publish(out, keys.key_of(made), made, rows or {}, stats or {})


def model_files(name):
    return {"model.safetensors": f"weights of {name}", "config.json": '{"eos_token_id": 1}', "tokenizer_config.json": "{}"}


def note(record, path, verb, publications, table):
    record.stages[path] = {
        "verb": verb,
        "jobs": [{"label": path, "key": p.key, "version": p.version, "digest": p.digest, "reused": False} for p in publications],
        "made": {table: [p.digest for p in publications]},
        "read": {},
    }


def draw(small, split="train"):
    """References to the two shards of the four problems."""
    rows = [problem(name, text=f"{n},5,8>45:", difficulty=3.0) for n, name in enumerate(PROBLEMS)]
    files = {f"shard-00{s}/problems.parquet": (records.PROBLEMS, rows[2 * s : 2 * s + 2]) for s in range(2)}
    made = small.publish("problems", {"source": {"strategy": "lib.problems.countdown:Countdown"}, "split": split}, {}, {}, files)
    return small.store.folders(made.digest)


def sample(small, shards, model, settings, count=2, split="train"):
    """One publication a shard."""
    made = []
    for s, shard in enumerate(shards):
        rows = [
            completion(completion_id(model, n, i, split), PROBLEMS[n], model_id=model, sample_index=i, seed=100 + i)
            | ({"text": HOSTILE} if (n, i) == (0, 0) else {})
            for n in (2 * s, 2 * s + 1)
            for i in range(count)
        ]
        files = {"completions.parquet": (records.COMPLETIONS, rows)}
        told = {"completions": len(rows)}
        made.append(small.publish("sample", settings, {"problems": [shard]}, {"policy": model}, files, rows=told))
    return made


def verify(small, shards, sampled, model, count, correct):
    made = []
    for s, (shard, completions) in enumerate(zip(shards, sampled, strict=True)):
        rows = [
            verdict(completion_id(model, n, i), "correct" if (n, i) in correct else "wrong", "countdown", reason="as it should")
            for n in (2 * s, 2 * s + 1)
            for i in range(count)
        ]
        inputs = {"problems": [shard], "completions": [completions.digest]}
        made.append(small.publish("verify", {"verifiers": []}, inputs, {}, {"verdicts.parquet": (records.VERDICTS, rows)}))
    return made


def filter(small, shards, sampled, verified, kept, dropped):
    """kept: (completion, problem number); dropped: (completion, filter, reason)."""
    examples = [
        {"example_id": example_id(c), "problem_id": PROBLEMS[n], "input_ids": [1, 2, 7, 8], "labels": [-100, -100, 7, 8], "weight": 1.0}
        for c, n in kept
    ]
    files = {
        "examples_sft.parquet": (records.SFT, examples),
        "example_sources.parquet": (
            records.EXAMPLE_SOURCES,
            [{"example_id": example_id(c), "completion_id": c, "part": "whole"} for c, _ in kept],
        ),
        "dropped.parquet": (records.DROPPED, [{"unit": "completion", "id": c, "filter": f, "reason": r} for c, f, r in dropped]),
    }
    inputs = {"problems": list(shards), "completions": [p.digest for p in sampled], "verdicts": [p.digest for p in verified]}
    return small.publish("filter", {"filters": [{"strategy": "lib.filters.keep_correct:KeepCorrect"}]}, inputs, {}, files)


def train(small, name, start, examples, replay=()):
    settings = {"trainer": {"strategy": "lib.trainers.sft:Sft", "steps": 700}}
    inputs = {"examples": [examples], **({"replay": list(replay)} if replay else {})}
    return small.publish("train", settings, inputs, {"start": start}, model_files(name))


def train_some(small, name, start, given, rows, evicted):
    """A training that was given examples of several artifacts, to keep so many rows; `evicted`: (place, completion)."""
    settings = {"trainer": {"strategy": "lib.trainers.sft:Sft", "steps": 700}, "keep": {"rows": rows, "evict": "oldest", "seed": 7}}
    gone = [{"place": place, "example_id": example_id(of)} for place, of in evicted]
    files = {**model_files(name), "evicted.parquet": (records.EVICTED, gone)}
    return small.publish("train", settings, {"examples": list(given)}, {"start": start}, files, rows={"evicted": len(gone)})


def one_round(small, record, shards, model, count, correct, earlier=(), capped=()):
    """Sample, verify and filter; what each published, the filter's publication last."""
    law = {"sampler": {"strategy": "lib.samplers.independent:Independent", "n": count}, "round": record.round}
    sampled = sample(small, shards, model, law, count)
    verified = verify(small, shards, sampled, model, count, correct)
    ours = [(completion_id(model, n, i), n, (n, i) in correct) for n in range(4) for i in range(count)]
    over = [(c, n) for c, n, right in ours if right] + [(c, n) for e in earlier for c, n in e["kept"]]
    wrong = [(c, "KeepCorrect", "wrong") for c, _, right in ours if not right] + [d for e in earlier for d in e["dropped"]]
    kept = [(c, n) for c, n in over if c not in capped]
    dropped = wrong + [(c, "CapPerProblem", "over the cap") for c, _ in over if c in capped]
    read = [*sampled, *(p for e in earlier for p in e["sampled"])], [*verified, *(p for e in earlier for p in e["verified"])]
    filtered = filter(small, shards, *read, kept, dropped)
    note(record, "main/sample", "sample", sampled, "completions")
    note(record, "main/verify", "verify", verified, "verdicts")
    note(record, "main/filter", "filter", [filtered], "examples_sft")
    return {"sampled": sampled, "verified": verified, "kept": kept, "dropped": dropped, "examples": filtered.digest}


def measured(small, record, shards, model, value):
    """An evaluation on validation, its samples among its jobs."""
    sampled = sample(small, shards, model, {"sampler": {"strategy": "lib.samplers.independent:Independent", "n": 1}}, 1, "validation")
    row = {"model_id": model, "split": "validation", "evaluator": "PassAtK", "metric": "pass_at_1", "slice": "all"}
    row |= {"value": value, "n": 4, "stderr": 0.1}
    inputs = {"completions": [p.digest for p in sampled]}
    figures = small.publish("evaluate", {"model_id": model}, inputs, {}, {"metrics.parquet": (records.METRICS, [row])})
    note(record, "evaluate/validation", "evaluate", [*sampled, figures], "metrics")
    record.metrics = [row]


def build(home):
    small = SmallHome(home, Store(home.store))
    folder = CampaignFolder(home, "demo")
    shards = draw(small)
    small.random = small.publish("initialise", {"model": {"hidden": 64}}, {}, {}, model_files("random")).digest
    right = {(0, 0), (1, 0), (2, 0)}

    base = RoundRecord("demo", 0, 1, "accepted", start={"policy": small.random})
    made = one_round(small, base, shards, small.random, 1, right | {(3, 0)})
    small.warm = made["examples"]
    warmed = train(small, "base", small.random, small.warm)
    small.base = base.made["policy"] = warmed.digest
    note(base, "main/train", "train", [warmed], "model")
    folder.write_base(base)
    plan = ProblemPlan({"strategy": "lib.problems.countdown:Countdown"}, {"train": 4})
    folder.create(Campaign("demo", "expert_iteration", {}, 1, plan, {"policy": small.base}, {"base": (small.warm,)}))
    zero = RoundRecord("demo", 0, 1, "accepted", start={"policy": small.base}, decision={"accepted": True, "sentence": "the first"})
    measured(small, zero, shards, small.base, 0.25)
    folder.write_round(zero)

    one = RoundRecord("demo", 1, 1, "accepted", start={"policy": small.base}, decision={"accepted": True, "sentence": "better"})
    first = one_round(small, one, shards, small.base, 2, right)
    trained = train(small, "first", small.base, first["examples"], [small.warm])
    small.first = one.made["policy"] = trained.digest
    note(one, "main/train", "train", [trained], "model")
    measured(small, one, shards, small.first, 0.5)
    folder.write_round(one)

    two = RoundRecord("demo", 2, 1, "rejected", start={"policy": small.first}, decision={"accepted": False, "sentence": "no better"})
    second = one_round(small, two, shards, small.first, 2, right, [first], {completion_id(small.first, 0, 0)})
    trained = train(small, "second", small.first, second["examples"], [small.warm])
    small.second = two.made["policy"] = trained.digest
    note(two, "main/train", "train", [trained], "model")
    folder.write_round(two)
    write_json(folder.path / "test.json", [{"round": 1, "attempt": 1, "state": "accepted", **one.metrics[0], "split": "test"}])
    small.examples = {0: small.warm, 1: first["examples"], 2: second["examples"]}
    return small
