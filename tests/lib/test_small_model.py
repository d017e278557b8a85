"""The built-in model is written like any other, and the same every time."""

from pathlib import Path

import pytest

from lib import contract, models
from lib.files import sha256_of
from lib.small_model import TEXT, SmallLlama

QUESTION = {"role": "user", "content": "1,5,8>45:"}
ANSWER = {"role": "assistant", "content": "8+1=9;9*5=45"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("model")
    SmallLlama().build(out, seed=7)
    return out


def contents(folder: Path) -> dict[str, str]:
    return {path.name: sha256_of(path) for path in folder.iterdir()}


def test_the_same_seed_writes_the_same_bytes_and_another_seed_other_weights(folder, tmp_path):
    SmallLlama().build(tmp_path / "again", seed=7)
    SmallLlama().build(tmp_path / "other", seed=8)
    assert contents(tmp_path / "again") == contents(folder)
    other = contents(tmp_path / "other")
    assert {name for name, digest in contents(folder).items() if other[name] != digest} == {"model.safetensors"}


def test_building_leaves_the_global_random_state_alone(tmp_path):
    import torch

    before = torch.get_rng_state()
    SmallLlama(layers=1).build(tmp_path, seed=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_it_has_162_thousand_parameters_and_25_tokens(folder):
    model = models.load_model(folder, dtype="float32", device="cpu")
    assert sum(parameter.numel() for parameter in model.parameters()) == 161_792
    assert len(models.load_tokenizer(folder)) == 25


def test_settings_shape_the_model(tmp_path):
    SmallLlama(hidden_size=32, layers=2, heads=2, intermediate_size=48, max_positions=40).build(tmp_path, seed=1)
    config = models.load_model(tmp_path, dtype="float32", device="cpu").config
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (32, 2, 2)
    assert (config.intermediate_size, config.max_position_embeddings) == (48, 40)


def test_the_template_puts_a_question_between_bos_and_sep(folder):
    render = models.load_tokenizer(folder).apply_chat_template
    assert render([QUESTION], add_generation_prompt=True, tokenize=False) == "<bos>1,5,8>45:<sep>"
    assert render([QUESTION, ANSWER], tokenize=False) == "<bos>1,5,8>45:<sep>8+1=9;9*5=45<eos>"


def test_what_training_renders_is_what_sampling_saw_and_wrote(folder):
    tokenizer = models.load_tokenizer(folder)
    prompt = tokenizer.apply_chat_template([QUESTION], add_generation_prompt=True, return_dict=False)
    completion = [*tokenizer(ANSWER["content"], add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    assert tokenizer.apply_chat_template([QUESTION, ANSWER], return_dict=False) == prompt + completion


def test_every_character_is_one_token_and_comes_back(folder):
    tokenizer = models.load_tokenizer(folder)
    text = "0123456789+-*=;#,:>/"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert len(set(ids)) == len(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer("a\n 1", add_special_tokens=False)["input_ids"] == [tokenizer.unk_token_id] * 3 + ids[1:2]


def test_it_keeps_the_contract_of_template_and_end_of_text(folder):
    assert contract.check_folder(folder) is None


def test_the_model_for_text_reads_any_bytes(tmp_path):
    TEXT.build(tmp_path / "text", seed=7)
    contract.check_folder(tmp_path / "text")
    tokenizer = models.load_tokenizer(tmp_path / "text")
    assert len(tokenizer) == 5 + 256
    for text in ("héllo − 😀\n\t", "\x00\x7f", "a  b"):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert len(ids) == len(text.encode())
        assert tokenizer.decode(ids) == text
