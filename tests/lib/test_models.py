"""Model folders: what is copied, what is refused, and what each digest stands for."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lib import contract, models
from lib.errors import BadModel
from lib.files import sha256_of
from lib.small_model import SmallLlama

if TYPE_CHECKING:
    import torch


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("model")
    SmallLlama(hidden_size=16, layers=1, heads=2, intermediate_size=16).build(out, seed=1)
    return out


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(built, tmp_path / "model"))


def edit(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def changed(before: dict[str, str], folder: Path) -> set[str]:
    after = models.identity(folder)
    return {name for name in before if before[name] != after[name]}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_one_changed_weight_changes_only_the_weights_digest(built, tmp_path):
    model = models.load_model(built, dtype="float32", device="cpu")
    model.get_input_embeddings().weight.data[3, 2] += 1e-3
    models.save(model, built, tmp_path / "out")
    assert changed(models.identity(built), tmp_path / "out") == {"weights"}


def test_an_edited_template_changes_only_the_chat_template_digest(folder):
    before = models.identity(folder)
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text() + " ")
    assert changed(before, folder) == {"chat_template"}


def test_a_changed_tokenizer_setting_changes_only_the_tokenizer_digest(folder):
    before = models.identity(folder)
    edit(folder / "tokenizer_config.json", model_max_length=64)
    assert changed(before, folder) == {"tokenizer"}


def test_a_changed_vocabulary_changes_only_the_tokenizer_digest(folder):
    before = models.identity(folder)
    path = folder / "tokenizer.json"
    path.write_text(path.read_text().replace('"#"', '"@"'))
    assert changed(before, folder) == {"tokenizer"}


@pytest.mark.parametrize(("name", "values"), [("config.json", {"rms_norm_eps": 1e-5}), ("generation_config.json", {"top_k": 5})])
def test_a_changed_setting_of_the_model_changes_only_the_config_digest(folder, name, values):
    before = models.identity(folder)
    edit(folder / name, **values)
    assert changed(before, folder) == {"config"}


def test_a_template_counts_the_same_in_either_of_its_homes(folder):
    before = models.identity(folder)
    template = folder / "chat_template.jinja"
    edit(folder / "tokenizer_config.json", chat_template=template.read_text())
    template.unlink()
    assert changed(before, folder) == set()


def test_importing_keeps_the_content_and_drops_everything_else(folder, tmp_path):
    before = models.identity(folder)
    edit(folder / "config.json", _name_or_path="/home/me/model")
    edit(folder / "tokenizer_config.json", name_or_path="/home/me/model")
    for name in ("optimizer.pt", "pytorch_model.bin", "modeling_mine.py", "README.md"):
        (folder / name).write_text("x")
    models.import_folder(folder, tmp_path / "out")
    assert names(tmp_path / "out") == names(folder) - {"optimizer.pt", "pytorch_model.bin", "modeling_mine.py", "README.md"}
    assert not any("/home/me" in path.read_text(errors="ignore") for path in (tmp_path / "out").iterdir())
    assert changed(before, tmp_path / "out") == set()


def test_bytes_do_not_depend_on_where_the_model_came_from_or_how_its_json_was_written(built, folder, tmp_path):
    config = json.loads((folder / "config.json").read_text())
    shuffled = {"_name_or_path": str(folder), **dict(reversed(config.items()))}
    (folder / "config.json").write_text(json.dumps(shuffled))
    for source, out in ((built, tmp_path / "one"), (folder, tmp_path / "two")):
        models.import_folder(source, out)
    digests = [{path.name: sha256_of(path) for path in (tmp_path / out).iterdir()} for out in ("one", "two")]
    assert digests[0] == digests[1]


def test_saving_what_was_loaded_gives_the_same_bytes(built, tmp_path):
    models.save(models.load_model(built, dtype="float32", device="cpu"), built, tmp_path / "out")
    assert names(tmp_path / "out") == names(built)
    weights = "model.safetensors"
    assert sha256_of(tmp_path / "out" / weights) == sha256_of(built / weights)
    assert "/" not in (tmp_path / "out" / "config.json").read_text()


def test_the_dtype_asked_for_is_the_dtype_loaded(built):
    assert str(models.load_model(built, dtype="bfloat16", device="cpu").dtype) == "torch.bfloat16"


@pytest.mark.parametrize("source", ["/nowhere/at/all", "nobody/no-such-model"])
def test_a_source_that_is_neither_folder_nor_hub_model_is_named(source, tmp_path):
    with pytest.raises(BadModel, match=f"no model folder '{source}'.*save_pretrained"):
        models.import_folder(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def spoil_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def spoil_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def spoil_all_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def spoil_shard(folder: Path) -> None:
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def spoil_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def spoil_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()


def spoil_into_adapter(folder: Path) -> None:
    (folder / "config.json").rename(folder / "adapter_config.json")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_config, "has no config.json; give a folder written by save_pretrained"),
        (spoil_weights, r"only pickled weights \(pytorch_model.bin\).*save it again with save_pretrained"),
        (spoil_all_weights, "has no model.safetensors"),
        (spoil_shard, "lacks model-00002-of-00002.safetensors"),
        (spoil_tokenizer, r"has no tokenizer; save it beside the model"),
        (spoil_template, r"has no chat template; set one.*tokenizer.chat_template = "),
        (spoil_into_adapter, "holds an adapter of kind None, which cannot be merged"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_with_the_remedy_and_nothing_is_written(folder, tmp_path, spoil, message):
    spoil(folder)
    with pytest.raises(BadModel, match=message) as raised:
        models.import_folder(folder, tmp_path / "out")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_kind_of_model_that_needs_its_own_code_is_refused(folder):
    edit(folder / "config.json", model_type="mine", architectures=["Mine"])
    with pytest.raises(BadModel, match="cannot be loaded"):
        models.load_model(folder, dtype="float32", device="cpu")


def adapter(folder: Path, out: Path, named: str) -> None:
    """A LoRA adapter that changes what the model of a folder says, as PEFT saves it."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(4)
    config = LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    tuned = get_peft_model(models.load_model(folder, dtype="float32", device="cpu"), config)
    tuned.peft_config["default"].base_model_name_or_path = str(folder)
    tuned.save_pretrained(out)
    edit(out / "adapter_config.json", base_model_name_or_path=named)
    ids = torch.tensor([[1, 6, 7, 8]])
    with torch.inference_mode():
        torch.save(tuned(input_ids=ids).logits, out / "expected.pt")


def says(folder: Path) -> "torch.Tensor":
    import torch

    with torch.inference_mode():
        return models.load_model(folder, dtype="float32", device="cpu")(input_ids=torch.tensor([[1, 6, 7, 8]])).logits


@pytest.mark.parametrize("place", ["absolute", "beside"])
def test_an_adapter_is_merged_where_it_is_loaded_and_where_it_is_imported(folder, tmp_path, place):
    import torch

    adapter(folder, tmp_path / "adapter", str(folder) if place == "absolute" else "../model")
    expected = torch.load(tmp_path / "adapter" / "expected.pt", weights_only=True)
    assert not torch.allclose(says(folder), expected, atol=1e-3)
    assert torch.allclose(says(tmp_path / "adapter"), expected, atol=1e-5)
    assert models.stop_ids(tmp_path / "adapter") == models.stop_ids(folder)
    assert models.load_tokenizer(tmp_path / "adapter").get_vocab() == models.load_tokenizer(folder).get_vocab()
    models.import_folder(tmp_path / "adapter", tmp_path / "out")
    assert names(tmp_path / "out") == names(folder)
    assert torch.allclose(says(tmp_path / "out"), expected, atol=1e-5)
    assert changed(models.identity(folder), tmp_path / "out") == {"weights"}
    contract.check_folder(tmp_path / "out")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"base_model_name_or_path": "/nowhere/base"}, "base model of the adapter in .*there is no model folder '/nowhere/base'"),
        ({"base_model_name_or_path": None}, "names no base model; set base_model_name_or_path"),
        ({"peft_type": "PROMPT_TUNING"}, "of kind PROMPT_TUNING, which cannot be merged"),
    ],
)
def test_an_adapter_without_its_base_is_refused_in_one_line(folder, tmp_path, values, message):
    adapter(folder, tmp_path / "adapter", str(folder))
    edit(tmp_path / "adapter" / "adapter_config.json", **values)
    for use in (models.import_folder, lambda source, out: models.load_model(source, dtype="float32", device="cpu")):
        with pytest.raises(BadModel, match=message) as raised:
            use(tmp_path / "adapter", tmp_path / "out")
        assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_pickled_adapter_is_never_loaded(folder, tmp_path):
    adapter(folder, tmp_path / "adapter", str(folder))
    (tmp_path / "adapter" / "adapter_model.safetensors").rename(tmp_path / "adapter" / "adapter_model.bin")
    with pytest.raises(BadModel, match=r"has no adapter_model.safetensors"):
        models.load_model(tmp_path / "adapter", dtype="float32", device="cpu")


@pytest.mark.parametrize("source", ["hf:nobody/no-such-model", "hf:nobody/no-such-model@v1.0", "nobody/no-such-model@main"])
def test_a_hub_name_without_a_network_is_refused_in_one_line(source, tmp_path):
    with pytest.raises(BadModel, match=f"no model folder '{source}', and the hub has none") as raised:
        models.import_folder(source, tmp_path / "out")
    assert "\n" not in str(raised.value)


def test_a_hub_model_is_found_at_its_revision(folder, tmp_path, monkeypatch):
    """The hub's own cache stands in for the network: a revision that lies there is used."""
    from huggingface_hub import constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "cache" / "models--me--mine"
    shutil.copytree(folder, cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs" / "v2").write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    for source in ("hf:me/mine@v2", f"me/mine@{commit}"):
        assert models.find(source) == cached / "snapshots" / commit
    with pytest.raises(BadModel, match="'hf:me/mine@v3'"):
        models.find("hf:me/mine@v3")
