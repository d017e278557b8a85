"""What a prompt is in tokens and how an answer ends, held to by sampling and training; broken models are made on the spot."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lib import contract, models, records, tables
from lib.engines.huggingface import Huggingface
from lib.engines.scripted import Scripted
from lib.errors import BadModel
from lib.problems.countdown import Countdown
from lib.protocols import Engine, Machine, Work
from lib.samplers.independent import Independent
from lib.small_model import SmallLlama
from lib.stages import sample, train
from lib.strategy import UserCode
from lib.trainers.sft import Sft


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


def one_line(error: BadModel) -> str:
    assert "\n" not in str(error)
    return str(error)


@pytest.mark.parametrize("name", ["generation_config.json", "config.json"])
def test_an_end_of_text_token_that_the_configs_disagree_on_is_refused(folder, name):
    edit(folder / name, eos_token_id=5)
    with pytest.raises(BadModel, match=rf"ends text with token 2 and {name} with \[5\]"):
        contract.check_folder(folder)


def test_several_stop_tokens_are_fine_while_the_tokenizer_s_is_one_of_them(folder):
    edit(folder / "generation_config.json", eos_token_id=[9, 2])
    contract.check_folder(folder)
    assert models.stop_ids(folder) == (9, 2)


def test_a_model_without_any_end_of_text_token_is_refused(folder):
    for name in ("config.json", "generation_config.json"):
        edit(folder / name, eos_token_id=None)
    with pytest.raises(BadModel, match="names no eos_token_id"):
        contract.check_folder(folder)


def test_a_template_whose_answer_does_not_follow_the_prompt_is_shown_in_both_renderings(folder):
    (folder / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}>{% else %}{{ eos_token }}{% endif %}"
    )
    with pytest.raises(BadModel, match="as '1>' and the question with its answer as '12<eos>'"):
        contract.check_folder(folder)


def test_a_template_that_does_not_end_the_answer_is_refused(folder):
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    with pytest.raises(BadModel, match="'12', which must end with one of the stop tokens"):
        contract.check_folder(folder)


def test_white_space_after_the_end_of_the_answer_is_passed_over(folder):
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace('"#"', r'"\n"'))
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m['content'] + eos_token + '\n' }}{% endfor %}")
    contract.check_folder(folder)
    assert models.end_of_turn(models.load_tokenizer(folder), (9, 2)) == 2


def test_the_template_that_the_refusal_of_none_suggests_keeps_the_contract(folder, tmp_path):
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(BadModel) as raised:
        models.import_folder(folder, tmp_path / "out")
    suggested = str(raised.value).split('tokenizer.chat_template = "')[1].split('"; tokenizer.save')[0]
    (folder / "chat_template.jinja").write_text(suggested)
    contract.check_folder(folder)


class Shouting:
    """An engine whose template writes a mark before each prompt."""

    def __init__(self, folder: Path) -> None:
        self.model_id = "m"
        self._engine: Engine = Huggingface().open(folder, "m", Machine())

    def render(self, messages: list[dict[str, str]]) -> list[int]:
        return [*self._engine.render(messages)[:1], 9, *self._engine.render(messages)[1:]]


def test_an_engine_that_renders_prompts_otherwise_is_shown_in_both_renderings(built):
    problems = Countdown().problems("train", 4, 1)
    contract.check_prompts(built, Huggingface().open(built, "m", Machine()), problems)
    with pytest.raises(BadModel, match=r"a prompt reads '<bos>[0-9].* and the engine Shouting renders it as '<bos>4") as raised:
        contract.check_prompts(built, Shouting(built), problems)
    assert "apart from token 1 on" in one_line(raised.value)


ENGINE = """
from lib.engines.huggingface import Huggingface
from lib.strategy import Strategy

class Wrapped:
    def __init__(self, inner):
        self.inner, self.model_id = inner, inner.model_id
    def __getattr__(self, name):
        return getattr(self.inner, name)
    def render(self, messages):
        return [*self.inner.render(messages), 9]

class Otherwise(Strategy):
    def open(self, model, model_id, machine):
        return Wrapped(Huggingface().open(model, model_id, machine))
"""


def sampling(tmp_path: Path, folder: Path, engine: dict[str, Any]) -> tuple[Work, Path]:
    """One shard of four problems, to be sampled."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    tables.write(Countdown().problems("train", 4, 1), records.PROBLEMS, tmp_path / "in" / "problems.parquet")
    settings = {"sampler": Independent(n=2, max_new_tokens=4).model_dump(mode="json"), "engine": engine}
    return Work(settings, {"problems": [tmp_path / "in"]}, {"policy": ("m", folder)}, 7, Machine()), tmp_path / "out"


def test_a_round_stops_before_sampling_from_a_broken_template(folder, tmp_path):
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    with pytest.raises(BadModel, match="must end with one of the stop tokens"):
        sample.run(*sampling(tmp_path, folder, Huggingface().model_dump(mode="json")))
    assert not list((tmp_path / "out").iterdir())


def test_a_round_stops_where_an_engine_has_a_template_of_its_own(built, tmp_path):
    (tmp_path / "other_engine.py").write_text(ENGINE)
    UserCode.allow(tmp_path)
    with pytest.raises(BadModel, match="the engine Wrapped renders it as"):
        sample.run(*sampling(tmp_path, built, {"strategy": "other_engine:Otherwise"}))


def test_an_engine_that_reads_no_model_is_held_to_nothing(tmp_path):
    stats = sample.run(*sampling(tmp_path, tmp_path / "nothing", Scripted(otherwise="1").model_dump(mode="json")))
    assert stats["errors"] == 0


def test_an_answer_that_ends_with_another_token_than_generation_does_is_shown(built):
    row = {"role": "policy", "finish_reason": "stop", "ids_source": "engine", "completion_ids": [7, 9]}

    def check(**changes: object) -> None:
        contract.check_endings(built, "policy", pa.Table.from_pylist([{**row, **changes}]))

    check(completion_ids=[7, 2])
    check(finish_reason="length")
    check(ids_source="retokenised")
    check(role="judge")
    with pytest.raises(BadModel, match=r"ends '24', whose last token 9 is none of the stop tokens \[2\] \(\['<eos>'\]\)"):
        check()


def examples(folder: Path, count: int = 20) -> pa.Table:
    """Prompts and their answers as the model of a folder renders them."""
    engine = Huggingface().open(folder, "m", Machine())
    rows = []
    for row in Countdown().problems("train", count, 1).to_pylist():
        prompt, answer = engine.render(records.chat(row["prompt"])), engine.encode(row["answer"])
        ids, labels = [*prompt, *answer], [records.IGNORED] * len(prompt) + answer
        rows.append({"example_id": row["problem_id"], "problem_id": row["problem_id"], "input_ids": ids, "labels": labels, "weight": 1.0})
    return records.SFT.table(rows)


def changed(table: pa.Table, column: str, change: Any) -> pa.Table:
    rows = [{**row, column: change(row[column])} for row in table.to_pylist()]
    return records.SFT.table(rows)


def test_examples_of_the_model_s_own_prompts_and_ends_are_fine(built):
    assert contract.check_examples(built, examples(built)) is None
    assert contract.check_examples(built, examples(built).slice(0, 0)) is None
    cut = changed(changed(examples(built), "input_ids", lambda ids: ids[:-1]), "labels", lambda labels: labels[:-1])
    assert contract.check_examples(built, cut) is None


def test_examples_whose_stop_token_carries_no_loss_are_refused(built):
    unlabelled = changed(examples(built), "labels", lambda labels: [*labels[:-1], records.IGNORED])
    with pytest.raises(BadModel, match=r"none has its stop token 2 inside the loss"):
        contract.check_examples(built, unlabelled)


def test_examples_with_tokens_beyond_the_vocabulary_are_refused(built):
    with pytest.raises(BadModel, match="holds token 70000, and the model knows 25"):
        contract.check_examples(built, changed(examples(built), "input_ids", lambda ids: [*ids[:-1], 70000]))


def test_steps_without_labels_need_only_be_of_the_vocabulary(built):
    row = {"example_id": "e", "problem_id": "p", "input_ids": [1, 5, 6], "step": 1, "position": 2, "target": 1.0}
    assert contract.check_examples(built, records.STEP.table([row])) is None
    with pytest.raises(BadModel, match="holds token 70000"):
        contract.check_examples(built, records.STEP.table([{**row, "input_ids": [1, 5, 70000]}]))


def other_tokenizer(folder: Path) -> None:
    """One that writes numbers of two digits as one token."""
    path = folder / "tokenizer.json"
    values = json.loads(path.read_text())
    values["pre_tokenizer"]["pattern"] = {"Regex": "[1-9][0-9]|[^0-9]|[0-9]"}
    values["model"]["vocab"].update({str(number): 15 + number for number in range(10, 100)})
    path.write_text(json.dumps(values))


def test_a_student_is_not_trained_on_the_tokens_of_a_teacher_with_another_tokenizer(built, folder):
    other_tokenizer(folder)
    tokenizer = models.load_tokenizer(built)
    texts = [tokenizer.decode(ids) for ids in examples(built)["input_ids"].to_pylist()]
    differing = examples(built).filter([re.search("[1-9][0-9].*<sep>", text) is not None for text in texts])
    assert differing.num_rows > 5
    with pytest.raises(BadModel, match=r"a prompt reads .* and its tokenizer renders it as .* sampled with another tokenizer") as raised:
        contract.check_examples(folder, differing)
    one_line(raised.value)
    contract.check_examples(built, differing)


def training(tmp_path: Path, folder: Path, learned: pa.Table) -> tuple[Work, Path]:
    for name in ("in", "out"):
        (tmp_path / name).mkdir(parents=True)
    tables.write(learned, records.SFT, tmp_path / "in" / "examples_sft.parquet")
    settings = {"trainer": Sft(steps=1, batch_size=2).model_dump(mode="json")}
    return Work(settings, {"examples": [tmp_path / "in"]}, {"start": ("m", folder)}, 7, Machine()), tmp_path / "out"


def test_a_round_stops_before_training_on_a_mismatch(built, folder, tmp_path):
    spoilt = changed(examples(built), "labels", lambda labels: [*labels[:-1], records.IGNORED])
    work, out = training(tmp_path, built, spoilt)
    with pytest.raises(BadModel, match="would not learn to stop"):
        train.run(work, out)
    edit(folder / "generation_config.json", eos_token_id=5)
    with pytest.raises(BadModel, match=r"ends text with token 2 and generation_config.json with \[5\]"):
        train.run(*training(tmp_path / "again", folder, examples(built)))
    assert not list(out.iterdir())


def test_training_on_what_was_sampled_goes_through(built, tmp_path):
    work, out = training(tmp_path, built, examples(built))
    assert train.run(work, out)["examples"] == 20
    contract.check_folder(out)
