"""Model folders: what is copied, what is refused, and what each digest stands for."""

import json
import shutil
from pathlib import Path

import pytest

from lib import models
from lib.errors import BadModel
from lib.files import sha256_of
from lib.small_model import SmallLlama


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
        (spoil_into_adapter, "merge it into its base model"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_with_the_remedy_and_nothing_is_written(folder, tmp_path, spoil, message):
    spoil(folder)
    with pytest.raises(BadModel, match=message) as raised:
        models.import_folder(folder, tmp_path / "out")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_the_template_that_the_refusal_suggests_keeps_the_contract(folder, tmp_path):
    spoil_template(folder)
    with pytest.raises(BadModel) as raised:
        models.import_folder(folder, tmp_path / "out")
    suggested = str(raised.value).split('tokenizer.chat_template = "')[1].split('"; tokenizer.save')[0]
    (folder / "chat_template.jinja").write_text(suggested)
    models.check_contract(folder)


def test_a_kind_of_model_that_needs_its_own_code_is_refused(folder):
    edit(folder / "config.json", model_type="mine", architectures=["Mine"])
    with pytest.raises(BadModel, match="cannot be loaded"):
        models.load_model(folder, dtype="float32", device="cpu")


@pytest.mark.parametrize("name", ["generation_config.json", "config.json"])
def test_an_end_of_text_token_that_the_configs_disagree_on_is_refused(folder, name):
    edit(folder / name, eos_token_id=5)
    with pytest.raises(BadModel, match=rf"ends text with token 2 and {name} with \[5\]"):
        models.check_contract(folder)


def test_several_stop_tokens_are_fine_while_the_tokenizer_s_is_one_of_them(folder):
    edit(folder / "generation_config.json", eos_token_id=[9, 2])
    models.check_contract(folder)
    assert models.stop_ids(folder) == (9, 2)


def test_a_model_without_any_end_of_text_token_is_refused(folder):
    for name in ("config.json", "generation_config.json"):
        edit(folder / name, eos_token_id=None)
    with pytest.raises(BadModel, match="names no eos_token_id"):
        models.check_contract(folder)


def test_a_template_whose_answer_does_not_follow_the_prompt_is_shown_in_both_renderings(folder):
    (folder / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}>{% else %}{{ eos_token }}{% endif %}"
    )
    with pytest.raises(BadModel, match="as '1>' and the question with its answer as '12<eos>'"):
        models.check_contract(folder)


def test_a_template_that_does_not_end_the_answer_is_refused(folder):
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    with pytest.raises(BadModel, match="'12', which must end with one of the stop tokens"):
        models.check_contract(folder)


def test_white_space_after_the_end_of_the_answer_is_passed_over(folder):
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace('"#"', r'"\n"'))
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m['content'] + eos_token + '\n' }}{% endfor %}")
    models.check_contract(folder)
    assert models.end_of_turn(models.load_tokenizer(folder), (9, 2)) == 2
