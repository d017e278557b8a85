"""What a content key depends on, ingredient by ingredient, and what it does not."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lib import keys, models, records, tables
from lib.errors import UserError
from lib.job import Job, Label
from lib.samplers.independent import Independent
from lib.small_model import SmallLlama
from lib.store import Store
from lib.strategy import UserCode

ENGINE = {"strategy": "lib.engines.huggingface:Huggingface", "dtype": "float32"}


def problem(problem_id: str, answer: str) -> dict[str, Any]:
    prompt = records.user_message("1,2>3:")
    return {"problem_id": problem_id, "task": "countdown", "prompt": prompt, "source": "given", "born_round": 0, "answer": answer}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def put_problems(store: Store, answer: str = "1+2=3") -> str:
    with store.workspace() as out:
        tables.write(records.PROBLEMS.table([problem("a", answer), problem("b", "x")]), records.PROBLEMS, out / "problems.parquet")
        return store.publish(out, "p" * 64, {}, {}, {}).digest


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    SmallLlama(hidden_size=16, layers=1, heads=2, intermediate_size=16).build(folder, 0)
    return folder


def job(store: Store, **changes: Any) -> Job:
    given = {
        "kind": "sample",
        "label": Label("campaign", 1, "main", "sample"),
        "settings": {"sampler": Independent(n=2).model_dump(mode="json"), "engine": ENGINE},
        "inputs": {"problems": (changes.pop("problems", None) or put_problems(store),)},
        "models": {"policy": "m"},
        "seed": 5,
    }
    return Job(**{**given, **changes})


def key(store: Store, model: Path, **changes: Any) -> str:
    return keys.key_of(job(store, **changes).ingredients(store, {"m": models.identity(model)}))


def test_the_same_job_has_the_same_key(store: Store, model: Path):
    assert key(store, model) == key(store, model)


def test_campaign_name_round_label_and_paths_are_not_in_the_key(store: Store, model: Path, tmp_path: Path):
    elsewhere = Store(tmp_path / "another" / "store")
    other = Label("another", 7, "main", "sample", attempt=2, shard=3, shards=9)
    assert key(store, model) == key(elsewhere, model, label=other)


def test_an_input_from_outside_counts_by_content_not_by_path(store: Store, model: Path):
    assert key(store, model, outside={"source": "/a"}) == key(store, model, outside={"source": "/b"})


def test_a_setting_an_input_row_and_the_seed_each_change_the_key(store: Store, model: Path):
    changed = [
        key(store, model, settings={"sampler": Independent(n=3).model_dump(mode="json"), "engine": ENGINE}),
        key(store, model, settings={"sampler": Independent(n=2).model_dump(mode="json"), "engine": {**ENGINE, "dtype": "bfloat16"}}),
        key(store, model, problems=put_problems(store, "2+1=3")),
        key(store, model, seed=6),
        key(store, model),
    ]
    assert len(set(changed)) == len(changed)


def copy_of(model: Path, target: Path) -> Path:
    target.mkdir()
    for file in model.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


def test_one_weight_the_tokenizer_and_the_chat_template_each_change_the_key(store: Store, model: Path, tmp_path: Path):
    from safetensors.numpy import load_file, save_file

    weights = copy_of(model, tmp_path / "weights")
    tensors = load_file(weights / "model.safetensors")
    name = sorted(tensors)[0]
    tensors[name] = tensors[name].copy()
    tensors[name].flat[0] += 1e-3
    save_file(tensors, weights / "model.safetensors", metadata={"format": "pt"})

    tokenizer = copy_of(model, tmp_path / "tokenizer")
    values = json.loads((tokenizer / "tokenizer.json").read_text())
    values["model"]["vocab"]["@"] = len(values["model"]["vocab"])
    (tokenizer / "tokenizer.json").write_text(json.dumps(values))

    template = copy_of(model, tmp_path / "template")
    file = template / "chat_template.jinja"
    file.write_text(file.read_text() + " ")

    found = {name: models.identity(folder) for name, folder in (("w", weights), ("t", tokenizer), ("c", template), ("same", model))}
    assert [part for part in found["same"] if found["w"][part] != found["same"][part]] == ["weights"]
    assert [part for part in found["same"] if found["t"][part] != found["same"][part]] == ["tokenizer"]
    assert [part for part in found["same"] if found["c"][part] != found["same"][part]] == ["chat_template"]
    assert len({key(store, folder) for folder in (weights, tokenizer, template, model)}) == 4


def test_the_key_reaches_modules_that_are_imported_indirectly_and_inside_functions():
    code, versions = keys.closure({"lib.stages.sample", "lib.samplers.independent"})
    assert "lib.samplers.rows" in code  # imported by the sampler
    assert "lib.seeds" in code  # imported by what that imports
    assert not [name for name in code if name.startswith(("lib.trainers", "lib.tracking", "flows", "tasks"))]
    assert "pyarrow" in versions
    nested, versions = keys.closure({"lib.engines.huggingface"})
    assert "lib.models" in nested
    assert {"torch", "transformers", "tokenizers"} <= versions.keys()


def test_computing_a_key_imports_nothing_heavy():
    code = """
import sys
from lib import keys
ours = {name for name in sys.modules if name.startswith("lib.")}
code, versions = keys.closure({
    "lib.stages.train", "lib.trainers.sft", "lib.trainers.dpo", "lib.trainers.policy_gradient", "lib.engines.huggingface"
})
assert {"lib.trainers", "lib.trainers.loop", "lib.models", "lib.seeds"} <= code.keys()
assert {"torch", "trl", "transformers"} <= versions.keys()
print([m for m in ("torch", "trl", "transformers", "datasets") if m in sys.modules])
print(sorted({name for name in sys.modules if name.startswith("lib.")} - ours))
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(Path.cwd())})
    assert said.stdout.split() == ["[]", "[]"]


def test_a_module_of_ours_that_is_not_there_has_no_key():
    with pytest.raises(UserError, match=r"lib\.samplers\.nothing has no source file"):
        keys.closure({"lib.samplers.nothing"})


def test_a_users_file_with_a_name_of_pythons_own_is_not_taken_for_it(tmp_path: Path):
    (tmp_path / "json.py").write_text("raise SystemExit\n")
    UserCode.allow(tmp_path)
    try:
        assert "json" not in keys.closure({"lib.seeds"})[0]
    finally:
        UserCode.allow(None)


USER = """
from lib.strategy import Strategy
class Mine(Strategy):
    def sample(self, tables, engines, seed, report):
        import helper
        return helper.rows()
"""


def user_key(tmp_path: Path, name: str, **files: str) -> str:
    folder = tmp_path / name
    folder.mkdir()
    for stem, text in {"mine": USER, "helper": "import deeper\n", "deeper": "X = 1\n", "unrelated": "Y = 1\n", **files}.items():
        (folder / f"{stem}.py").write_text(text)
    UserCode.allow(folder)
    try:
        return keys.key_of(keys.ingredients_of("sample", {"sampler": {"strategy": "mine:Mine"}}, {}, {}, 0))
    finally:
        UserCode.allow(None)


def test_a_users_file_and_what_it_imports_change_the_key_and_an_unrelated_module_does_not(tmp_path: Path):
    base = user_key(tmp_path, "base")
    assert user_key(tmp_path, "elsewhere") == base
    assert user_key(tmp_path, "unrelated", unrelated="Y = 2\n") == base
    assert user_key(tmp_path, "itself", mine=USER + "# changed\n") != base
    assert user_key(tmp_path, "nested", helper="import deeper  # changed\n") != base
    assert user_key(tmp_path, "indirect", deeper="X = 2\n") != base


def test_a_changed_module_of_ours_changes_the_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    changed = tmp_path / "rows.py"
    real = keys._file_of
    before = keys.closure({"lib.samplers.independent"})[0]
    changed.write_text(real("lib.samplers.rows").read_text() + "\n# changed\n")
    monkeypatch.setattr(keys, "_file_of", lambda name: changed if name == "lib.samplers.rows" else real(name))
    after = keys.closure({"lib.samplers.independent"})[0]
    assert [name for name in before if before[name] != after[name]] == ["lib.samplers.rows"]


def test_what_changed_is_said_in_words():
    old = {"kind": "sample", "settings": {"sampler": {"n": 8}}, "inputs": {"problems": ["a"]}, "code": {"lib.a": "1"}, "seed": 1}
    new = {"kind": "sample", "settings": {"sampler": {"n": 16}}, "inputs": {"problems": ["b"]}, "code": {"lib.a": "2"}, "seed": 2}
    assert keys.changed(old, new) == ["setting sampler.n: 8 → 16", "input problems", "code of lib.a", "seed"]
    assert keys.changed(old, old) == []
    assert keys.changed({"versions": {"torch": "1"}}, {"versions": {"torch": "2"}}) == ["version of torch: '1' → '2'"]


def test_a_changed_input_is_said_with_the_stage_that_made_it():
    def of(**inputs: list[str]) -> dict[str, Any]:
        return {"inputs": inputs}

    makers = {"b": "main/filter", "c": "main/filter of round 1"}
    assert keys.changed(of(examples=["a"]), of(examples=["b"]), makers) == ["input examples, made by main/filter"]
    assert keys.changed(of(examples=["a"]), of(examples=["a", "b", "c"]), makers) == [
        "input examples, made by main/filter and main/filter of round 1"
    ]
    assert keys.changed(of(examples=["a", "b"]), of(examples=["b"]), makers) == ["input examples: 2 → 1 tables"]
    assert keys.changed(of(), of(replay=["x"]), makers) == ["input replay"]


def test_a_changed_model_is_said_with_its_part_and_role():
    old = {"models": {"policy": {"weights": "1", "tokenizer": "1", "chat_template": "1", "config": "1"}}}
    for part, said in (("weights", "weights"), ("tokenizer", "tokenizer"), ("chat_template", "chat template"), ("config", "configuration")):
        assert keys.changed(old, {"models": {"policy": {**old["models"]["policy"], part: "2"}}}) == [f"{said} of policy"]


def test_long_values_and_many_changes_are_cut():
    digest, text = "0123456789abcdef" * 4, "x" * 200
    (said,) = keys.changed({"settings": {"model_id": digest}}, {"settings": {"model_id": text}})
    assert said.startswith("setting model_id: 0123456789ab → 'xxx")
    assert len(said) < 120
    assert keys.in_words(["a"]) == "a"
    assert keys.in_words(["a", "b", "c", "d", "e", "f"]) == "a; b; c; d; and 2 more"
