"""The engine over classification models: its logits are the model's own, wherever a text stands in a batch."""

from pathlib import Path

import pytest
import torch

from lib import models
from lib.engine_kinds import Reader, Reading
from lib.engines.classifier import Classifier
from lib.engines.huggingface import Huggingface
from lib.errors import BadModel
from lib.protocols import Machine, Work, silent
from lib.stages import adopt
from tests.tiny_models import classifier, encoder, writer

QUESTION = [{"role": "user", "content": "1,5,8>45:"}]
STEPS = ["8+1=9;", "9*5=45;", "45*1=45;"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    at = tmp_path_factory.mktemp("classifiers")
    return {
        "sequence": classifier(at / "sequence", "sequence", 1),
        "two": classifier(at / "two", "sequence", 2, pad=False),
        "token": classifier(at / "token", "token", 2),
        "encoder": encoder(at / "encoder"),
        "writer": writer(at / "writer"),
    }


def opened(folder: Path, rows: int | None = None) -> Reader:
    return Classifier().open(folder, "m", Machine(micro_batch=rows))


def direct(folder: Path, **inputs: list[int]) -> torch.Tensor:
    model = models.load_classifier(folder, dtype="float32", device="cpu")
    with torch.inference_mode():
        return model(**{name: torch.tensor([values]) for name, values in inputs.items()}).logits[0]


@pytest.mark.parametrize("kind", ["sequence", "two"])
def test_a_sequence_model_reads_the_conversation_up_to_the_end_of_each_part(folders, kind):
    (logits,) = opened(folders[kind]).read([Reading(QUESTION, STEPS)], silent)
    tokenizer = models.load_tokenizer(folders[kind])
    for count, found in enumerate(logits, 1):
        answered = [*QUESTION, {"role": "assistant", "content": "".join(STEPS[:count])}]
        ids = tokenizer.apply_chat_template(answered, return_dict=False)
        assert found == pytest.approx(direct(folders[kind], input_ids=ids).tolist(), abs=1e-4)
    assert len(logits) == 3 and logits[0] != logits[1]


def test_a_token_model_is_read_at_the_last_token_of_each_part(folders):
    (logits,) = opened(folders["token"]).read([Reading(QUESTION, STEPS)], silent)
    tokenizer = models.load_tokenizer(folders["token"])
    question = tokenizer.apply_chat_template(QUESTION, add_generation_prompt=True, return_dict=False)
    ids, ends = list(question), []
    for step in STEPS:
        ids += tokenizer(step, add_special_tokens=False)["input_ids"]
        ends.append(len(ids) - 1)
    assert torch.allclose(torch.tensor(logits), direct(folders["token"], input_ids=ids)[ends], atol=1e-4)


def test_without_a_chat_template_question_and_answer_are_a_pair(folders):
    (logits,) = opened(folders["encoder"]).read([Reading([{"role": "user", "content": "one two"}], ["good"])], silent)
    ids, segments = [2, 4, 5, 3, 7, 3], [0, 0, 0, 0, 1, 1]
    assert logits[0] == pytest.approx(direct(folders["encoder"], input_ids=ids, token_type_ids=segments).tolist(), abs=1e-4)


@pytest.mark.parametrize("kind", ["sequence", "two", "token", "encoder"])
def test_logits_do_not_depend_on_the_rest_of_the_batch(folders, kind):
    words = ["one", "two three", "good bad one two"] if kind == "encoder" else ["8", "8+1=9;9*5=45", "5*9=45;"]
    readings = [Reading(QUESTION, [word]) for word in words]
    together = opened(folders[kind]).read(readings, silent)
    alone = [opened(folders[kind], rows=1).read([reading], silent)[0] for reading in readings]
    assert torch.allclose(torch.tensor(together), torch.tensor(alone), atol=1e-4)
    assert together[0] != together[1]


def test_what_passes_the_models_positions_is_not_read_and_the_others_are(folders):
    seen: list[tuple[int, int]] = []
    readings = [Reading(QUESTION, ["1" * 500]), Reading(QUESTION, ["1"])]
    long, short = opened(folders["sequence"]).read(readings, lambda done, total: seen.append((done, total)))
    assert long is None
    assert short is not None
    assert seen[-1] == (1, 1)


def test_each_kind_of_model_has_its_engine(folders):
    with pytest.raises(BadModel, match="no sequence or token classification model"):
        opened(folders["writer"])
    with pytest.raises(BadModel, match=r"writes nothing; give its role the engine Classifier\(\)"):
        Huggingface().open(folders["sequence"], "m", Machine())


def test_a_head_that_was_not_saved_is_refused(folders, tmp_path):
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "broken"
    models.import_folder(folders["sequence"], broken)
    weights = load_file(broken / "model.safetensors")
    save_file({name: value for name, value in weights.items() if "score" not in name}, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(BadModel, match=r"lacks the weights of score\.weight"):
        opened(broken)


@pytest.mark.parametrize("kind", ["sequence", "token", "encoder"])
def test_a_classification_model_can_be_adopted(folders, kind, tmp_path):
    adopt.run(Work({}, {"source": [folders[kind]]}, {}, 0, Machine()), tmp_path / "out")
    assert models.head(tmp_path / "out") == ("token" if kind == "token" else "sequence")
