"""The engine over a small random model: what it samples, under which law, and what does not matter to it."""

import json
import shutil
from itertools import chain
from pathlib import Path

import pytest
import torch
from scipy.stats import chisquare

from lib import models
from lib.engines.huggingface import Huggingface
from lib.errors import UserError
from lib.protocols import Engine, Machine, Request, Sampled
from lib.seeds import seed_of

LENGTHS = (3, 9, 9, 5, 14, 1, 20)
"""Prompt lengths of `requests`: ragged, and not in order."""


@pytest.fixture(scope="module")
def folder(served_folder: Path) -> Path:
    return served_folder


@pytest.fixture(scope="module")
def engine(folder: Path) -> Engine:
    return Huggingface().open(folder, "m", Machine())


def requests(n: int = 4) -> list[Request]:
    draws = torch.Generator().manual_seed(3)
    prompts = [torch.randint(5, 25, (length,), generator=draws).tolist() for length in LENGTHS]
    return [Request(prompt, tuple(seed_of(place, i) for i in range(n))) for place, prompt in enumerate(prompts)]


def sample(engine: Engine, asked: list[Request], **changes: object) -> list[list[Sampled]]:
    settings = {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 30, "report": lambda done, total: None}
    return engine.sample(asked, **{**settings, **changes})


def ids(results: list[list[Sampled]]) -> list[list[list[int]]]:
    return [[sampled.ids for sampled in group] for group in results]


def next_token_logprobs(folder: Path, tokens: list[int]) -> torch.Tensor:
    """(T, V): the bare model's log-probabilities after each token, alone and without a cache."""
    model = models.load_model(folder, dtype="float32", device="cpu")
    with torch.inference_mode():
        return torch.log_softmax(model(torch.tensor([tokens]), use_cache=False).logits[0], -1)


def test_rendered_prompts_and_encoded_answers_are_what_the_template_writes(engine, folder):
    question, answer = {"role": "user", "content": "1,5,8>45:"}, {"role": "assistant", "content": "8+1=9"}
    whole = models.load_tokenizer(folder).apply_chat_template([question, answer], return_dict=False)
    assert engine.render([question]) + engine.encode("8+1=9") == whole
    assert engine.decode(engine.encode("8+1=9")) == "8+1=9"


def test_greedy_equals_generate_for_ragged_prompts(engine, folder):
    model = models.load_model(folder, dtype="float32", device="cpu")
    width = max(LENGTHS)
    prompts = [list(request.prompt_ids) for request in requests()]
    padded = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    theirs = model.generate(input_ids=padded, attention_mask=mask, do_sample=False, max_new_tokens=30)[:, width:].tolist()
    ours = [sampled.ids for (sampled,) in sample(engine, requests(1), temperature=0.0)]
    assert len({len(answer) for answer in ours}) > 1, "some should stop early"
    for mine, its in zip(ours, theirs, strict=True):
        assert mine + [0] * (len(its) - len(mine)) == its


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_logprobs_agree_with_teacher_forcing(engine, folder, temperature):
    asked = requests(2)
    for request, group in zip(asked, sample(engine, asked, temperature=temperature), strict=True):
        for sampled in group:
            start = len(request.prompt_ids) - 1
            bare = next_token_logprobs(folder, [*request.prompt_ids, *sampled.ids])[start:-1]
            law = torch.log_softmax(bare / temperature, -1)
            chosen = torch.tensor(sampled.ids)[:, None]
            assert torch.allclose(torch.tensor(sampled.logprobs_at_1), bare.gather(1, chosen)[:, 0], atol=1e-4)
            assert torch.allclose(torch.tensor(sampled.logprobs), law.gather(1, chosen)[:, 0], atol=1e-4)
            assert sampled.entropy_mean == pytest.approx(-(bare.exp() * bare).sum(-1).mean().item(), abs=1e-4)


def test_the_same_seeds_give_the_same_completions_and_others_do_not(engine):
    assert sample(engine, requests()) == sample(engine, requests())
    shifted = [Request(request.prompt_ids, tuple(seed + 1 for seed in request.seeds)) for request in requests()]
    assert ids(sample(engine, shifted)) != ids(sample(engine, requests()))


def test_a_completion_does_not_depend_on_the_rest_of_the_batch(engine):
    together = ids(sample(engine, requests()))
    assert [ids(sample(engine, [request]))[0] for request in requests()] == together
    assert ids(sample(engine, requests()[::-1]))[::-1] == together


@pytest.mark.parametrize("rows", [1, 3, 6])
def test_completions_and_their_order_do_not_depend_on_the_rows_of_a_batch(engine, folder, rows):
    small = Huggingface().open(folder, "m", Machine(micro_batch=rows))
    assert ids(sample(small, requests())) == ids(sample(engine, requests()))


def test_the_last_rows_of_several_batches_go_on_together(folder, monkeypatch):
    alone = Huggingface().open(folder, "m", Machine(micro_batch=20))
    passes = []
    monkeypatch.setattr(alone._model, "forward", lambda *a, forward=alone._model.forward, **k: (passes.append(1), forward(*a, **k))[1])
    asked = [Request(one.prompt_ids, tuple(seed_of("many", place, i) for i in range(20))) for place, one in enumerate(requests())]
    apart = [sample(alone, [one], max_new_tokens=60)[0] for one in asked]
    alone_passes = len(passes)
    together = sample(alone, asked, max_new_tokens=60)  # 7 batches of 20
    assert ids(together) == ids(apart)
    for one, other in zip(chain.from_iterable(together), chain.from_iterable(apart), strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)
        assert one.logprobs_at_1 == pytest.approx(other.logprobs_at_1, abs=1e-5)
        assert (one.finish_reason, one.entropy_mean) == (other.finish_reason, pytest.approx(other.entropy_mean, abs=1e-5))
    assert len(passes) - alone_passes < 0.8 * alone_passes


def test_the_first_completions_do_not_depend_on_how_many_follow(engine):
    assert [group[:2] for group in ids(sample(engine, requests(5)))] == ids(sample(engine, requests(2)))


def test_requests_may_ask_for_different_numbers_of_completions(engine):
    asked = [Request(request.prompt_ids, request.seeds[:n]) for n, request in enumerate(requests(7))]
    assert [len(group) for group in sample(engine, asked)] == list(range(7))


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_first_tokens_are_distributed_as_the_softmax_says(engine, folder, temperature):
    request = Request(requests()[1].prompt_ids, tuple(seed_of("draw", i) for i in range(10_000)))
    (group,) = sample(engine, [request], temperature=temperature, max_new_tokens=1)
    expected = (next_token_logprobs(folder, list(request.prompt_ids))[-1].double() / temperature).softmax(-1) * 10_000
    counts = torch.bincount(torch.tensor([sampled.ids[0] for sampled in group]), minlength=25).double()
    common = expected >= 5
    observed, wanted = counts[common], expected[common]
    assert len(observed) >= 5
    assert observed.sum() > 9_900
    assert chisquare(observed, wanted * (observed.sum() / wanted.sum())).pvalue > 0.001


def test_top_p_never_leaves_the_nucleus(engine, folder):
    top_p = 0.7
    asked = requests(6)
    for request, group in zip(asked, sample(engine, asked, top_p=top_p, max_new_tokens=8), strict=True):
        for sampled in group:
            probabilities = next_token_logprobs(folder, [*request.prompt_ids, *sampled.ids])[len(request.prompt_ids) - 1 : -1].exp()
            for row, token in zip(probabilities, sampled.ids, strict=True):
                assert row[row > row[token]].sum() < top_p + 1e-4


def test_a_completion_ends_at_the_stop_token_or_at_the_limit(engine):
    groups = sample(engine, requests(8), max_new_tokens=12)
    answers = [sampled for group in groups for sampled in group]
    assert {sampled.finish_reason for sampled in answers} == {"stop", "length"}
    for sampled in answers:
        assert 2 not in sampled.ids[:-1]
        assert (sampled.ids[-1] == 2) == (sampled.finish_reason == "stop")
        assert len(sampled.ids) == 12 or sampled.finish_reason == "stop"
        assert len(sampled.ids) == len(sampled.logprobs) == len(sampled.logprobs_at_1) <= 12


def test_any_of_several_stop_tokens_ends_a_completion(folder, tmp_path):
    several = Path(shutil.copytree(folder, tmp_path / "model"))
    config = several / "generation_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "eos_token_id": [2, 7, 8, 9]}))
    answers = [s.ids for group in sample(Huggingface().open(several, "m", Machine()), requests(8)) for s in group]
    assert {answer[-1] for answer in answers} >= {7, 8, 9}
    assert not {2, 7, 8, 9} & {token for answer in answers for token in answer[:-1]}


def test_progress_counts_finished_completions_up_to_all(engine):
    heard: list[tuple[int, int]] = []
    sample(engine, requests(8), report=lambda done, total: heard.append((done, total)))
    done = [finished for finished, _ in heard]
    assert done == sorted(done)
    assert len(set(done)) > 2
    assert heard[-1] == (56, 56)
    assert {total for _, total in heard} == {56}


def test_nothing_asked_gives_nothing(engine):
    assert sample(engine, []) == []


def test_an_answer_that_would_pass_the_model_s_positions_is_refused(engine):
    with pytest.raises(UserError, match="lower max_new_tokens to 108"):
        sample(engine, requests(), max_new_tokens=109)
    assert len(sample(engine, requests(1), max_new_tokens=108)) == len(LENGTHS)


def test_bfloat16_weights_still_give_float32_logprobs(folder):
    low = Huggingface(dtype="bfloat16").open(folder, "m", Machine())
    (sampled,) = sample(low, requests(1)[:1])[0]
    assert all(-20 < logprob <= 0 for logprob in sampled.logprobs)
    assert len({logprob * 256 % 1 for logprob in sampled.logprobs}) > 1


@pytest.mark.parametrize("stop", [("4",), ("7", "+"), ("45", "9")])
def test_a_stop_string_ends_a_completion_at_its_token_and_the_text_before_it(engine, folder, stop):
    free = [sampled for group in sample(engine, requests(12)) for sampled in group]
    stopping = Huggingface(stop=stop).open(folder, "m", Machine())
    ended = [sampled for group in sample(stopping, requests(12)) for sampled in group]
    assert any(any(string in engine.decode(sampled.ids) for string in stop) for sampled in free)
    for mine, whole in zip(ended, free, strict=True):
        text = engine.decode(whole.ids)
        place = min((text.index(string) for string in stop if string in text), default=None)
        assert mine.text == (text if place is None else text[:place])
        if place is None:
            assert (mine.ids, mine.finish_reason) == (whole.ids, whole.finish_reason)
        else:
            assert mine.ids == whole.ids[: len(mine.ids)]
            assert mine.finish_reason == "stop"
            assert engine.decode(mine.ids).endswith(stop)
            assert len(mine.logprobs) == len(mine.ids)


def test_a_stop_string_is_found_across_tokens_and_inside_one(engine, folder):
    texts = [engine.decode(whole.ids) for (whole,) in sample(engine, requests(1))]
    place = max(range(len(texts)), key=lambda place: len(texts[place]))
    text, stop = texts[place], texts[place][2:5]
    (cut,) = sample(Huggingface(stop=(stop,)).open(folder, "m", Machine()), requests(1))[place]
    assert (cut.text, engine.decode(cut.ids)) == (text[: text.index(stop)], text[: text.index(stop) + 3])


def test_an_adapter_is_sampled_from_with_its_base_s_tokenizer_and_stop_tokens(engine, folder, tmp_path):
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(4)
    config = LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(models.load_model(folder, dtype="float32", device="cpu"), config).save_pretrained(tmp_path)
    (values := json.loads((tmp_path / "adapter_config.json").read_text()))["base_model_name_or_path"] = str(folder)
    (tmp_path / "adapter_config.json").write_text(json.dumps(values))
    tuned = Huggingface().open(tmp_path, "m", Machine())
    assert tuned.render([{"role": "user", "content": "1"}]) == engine.render([{"role": "user", "content": "1"}])
    assert ids(sample(tuned, requests())) != ids(sample(engine, requests()))
