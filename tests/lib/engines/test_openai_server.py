"""The engine over a real HTTP server on the loopback: what is asked and what comes back."""

import json
import logging

import pytest
import torch

from lib import models, seeds
from lib.datafile import by_content
from lib.engines.huggingface import Huggingface
from lib.engines.openai_server import OpenaiServer
from lib.errors import BadModel, UserError
from lib.protocols import EngineFactory, Machine, Request
from lib.seeds import seed_of
from lib.strategy import load
from tests.server_questions import NAME, QUESTIONS, asked, opened, sample

KEY = "sk-very-secret-0123456789"


def test_token_ids_go_out_and_come_back_with_their_log_probabilities(server, state, served_folder):
    engine = opened(server, served_folder)
    results = sample(engine)
    assert [len(group) for group in results] == [3] * 5
    assert {answer.ids_source for group in results for answer in group} == {"engine"}
    prompts = [request.prompt_ids for request in asked(engine)]
    assert sorted(body["prompt"] for body in state.seen[1:]) == sorted(prompts)
    model = models.load_model(served_folder, dtype="float32", device="cpu")
    for prompt, group in zip(prompts, results, strict=True):
        for answer in group:
            with torch.inference_mode():
                logits = model(torch.tensor([[*prompt, *answer.ids]]), use_cache=False).logits[0, len(prompt) - 1 : -1]
            forced = logits.log_softmax(-1).gather(1, torch.tensor(answer.ids)[:, None])[:, 0]
            assert torch.allclose(torch.tensor(answer.logprobs), forced, atol=1e-4)
            assert answer.logprobs_at_1 == answer.logprobs
            assert (answer.ids[-1] == 2) == (answer.finish_reason == "stop")


def test_every_sample_of_a_prompt_is_asked_for_at_once_with_its_law_and_seed(server, state, served_folder):
    engine = opened(server, served_folder)
    engine.sample(asked(engine, 3)[:1], temperature=0.7, top_p=0.9, max_new_tokens=5, report=lambda done, total: None)
    body = state.seen[-1]
    assert {name: body[name] for name in ("n", "temperature", "top_p", "max_tokens", "model")} == {
        "n": 3,
        "temperature": 0.7,
        "top_p": 0.9,
        "max_tokens": 5,
        "model": NAME,
    }
    assert body["seed"] == seed_of(0, 0) % 2**31
    assert body["stop_token_ids"] == [2]


def test_the_same_questions_get_the_same_answers_from_a_server_that_keeps_to_seeds(server, served_folder):
    engine = opened(server, served_folder)
    assert sample(engine) == sample(engine)


def test_greedy_asks_once_and_answers_as_often_as_asked(server, state, served_folder):
    results = sample(opened(server, served_folder), n=4, temperature=0.0)
    assert {body["n"] for body in state.seen} == {1}
    local = Huggingface().open(served_folder, NAME, Machine())
    assert [[a.ids for a in group] for group in results] == [[a.ids for a in group] for group in sample(local, n=4, temperature=0.0)]
    assert all(answer.logprobs == [0.0] * len(answer.ids) for group in results for answer in group)


def test_log_probabilities_that_a_server_does_not_tell_are_left_out(server, served_folder):
    (answer, *_), *_ = sample(opened(server, served_folder), temperature=0.5)
    assert answer.logprobs == []
    assert len(answer.logprobs_at_1) == len(answer.ids)
    (tempered, *_), *_ = sample(opened(server, served_folder, server="sglang"), temperature=0.5)
    assert tempered.logprobs_at_1 is None
    (silent, *_), *_ = sample(opened(server, served_folder, logprobs=False))
    assert (silent.logprobs, silent.logprobs_at_1) == ([], None)


def test_text_without_ids_is_tokenised_and_says_so(server, state, served_folder):
    state.gives_ids = False
    results = sample(opened(server, served_folder), n=8)
    answers = [answer for group in results for answer in group]
    assert {answer.ids_source for answer in answers} == {"retokenised"}
    assert {answer.finish_reason for answer in answers} == {"stop", "length"}
    tokenizer = models.load_tokenizer(served_folder)
    for answer in answers:
        plain = tokenizer(answer.text, add_special_tokens=False)["input_ids"]
        assert answer.ids == ([*plain, 2] if answer.finish_reason == "stop" else plain)
        assert answer.logprobs == []


@pytest.mark.parametrize("change", [{"has_completions": False}, {"takes_ids": False}])
def test_a_server_that_takes_no_token_ids_is_sent_messages(server, state, served_folder, change):
    for name, value in change.items():
        setattr(state, name, value)
    results = sample(opened(server, served_folder))
    assert {answer.finish_reason for group in results for answer in group} <= {"stop", "length"}
    assert {answer.ids_source for group in results for answer in group} == {"engine"}
    assert sorted(map(str, (body["messages"] for body in state.seen[1:]))) == sorted(map(str, QUESTIONS))


def test_chat_answers_have_log_probabilities_too(server, served_folder):
    for group in sample(opened(server, served_folder, endpoint="chat")):
        assert all(len(answer.logprobs) == len(answer.ids) > 0 for answer in group)


def test_prompts_that_no_message_was_rendered_to_cannot_go_to_a_chat(server, served_folder):
    engine = opened(server, served_folder, endpoint="chat")
    with pytest.raises(UserError, match="takes messages"):
        engine.sample([Request([5, 6], (1,))], temperature=1.0, top_p=1.0, max_new_tokens=2, report=lambda done, total: None)


def test_a_server_that_renders_prompts_otherwise_stops_the_round_with_both_renderings(server, state, served_folder):
    state.adds_to_prompt = (8, 9)
    with pytest.raises(BadModel, match=r"a prompt reads '.*1,5,8>45:.*' .* renders it as '.*1,5,8>45:.*34") as raised:
        sample(opened(server, served_folder))
    assert "\n" not in str(raised.value)


def test_no_more_requests_are_on_their_way_than_allowed(server, state, served_folder):
    state.slow_seconds = 0.05
    sample(opened(server, served_folder, concurrency=2))
    assert state.most_at_once == 2


def test_progress_counts_completions_up_to_all(server, served_folder):
    heard: list[tuple[int, int]] = []
    sample(opened(server, served_folder), report=lambda done, total: heard.append((done, total)))
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)
    assert heard[-1] == (15, 15)
    assert len(heard) > 3


def test_a_server_of_another_model_is_refused(server, served_folder):
    engine = OpenaiServer(base_url=server.base_url).open(served_folder, "e" * 64, Machine())
    with pytest.raises(BadModel, match=f"serves {NAME} and not the model {'e' * 64}.*unverified_identity=True"):
        sample(engine)


def test_a_server_that_changes_its_model_meanwhile_is_noticed(server, state, served_folder):
    engine = opened(server, served_folder)
    sample(engine)
    state.answers_as = "another"
    with pytest.raises(BadModel, match="answered as another"):
        sample(engine)


def test_an_unverified_model_is_named_so_in_every_row(server, served_folder):
    engine = OpenaiServer(base_url=server.base_url, unverified_identity=True, served_name=NAME).open(served_folder, "e" * 64, Machine())
    assert engine.model_id == f"unverified:{NAME}"
    assert len(sample(engine)) == 5


def test_the_key_reaches_the_server_and_nothing_else(server, state, served_folder, tmp_path, monkeypatch, caplog, capfd):
    monkeypatch.setenv("MY_KEY", KEY)
    state.key, state.echoes_key, state.gives_ids = KEY, True, False
    engine = opened(server, served_folder, key_variable="MY_KEY", endpoint="chat")
    engine.keep_in(tmp_path)
    with caplog.at_level(logging.DEBUG):
        results = sample(engine)
        assert {body["authorization"] for body in state.seen} == {f"Bearer {KEY}"}
        assert "key Bearer [key]" in {answer.text for group in results for answer in group}
        monkeypatch.setenv("MY_KEY", "sk-another-key-9876543210")
        with pytest.raises(UserError, match=r"refuses the key.*MY_KEY") as raised:
            sample(opened(server, served_folder, key_variable="MY_KEY", endpoint="chat"))
    spoken = "".join((caplog.text, *capfd.readouterr(), str(raised.value), repr(results), repr(engine), repr(vars(engine))))
    written = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    settings = json.dumps(OpenaiServer(base_url=server.base_url, key_variable="MY_KEY").model_dump(mode="json"))
    assert written
    for text in (spoken, settings, *written):
        assert KEY not in text
        assert "sk-another-key" not in text


def test_no_key_is_sent_where_there_is_none(server, state, served_folder, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    sample(opened(server, served_folder))
    assert {body["authorization"] for body in state.seen} == {None}


def test_a_stop_string_is_sent_and_cut_off_the_text(server, state, served_folder):
    free = [answer for group in sample(opened(server, served_folder), n=8) for answer in group]
    stop = "4"
    engine = opened(server, served_folder, stop=(stop,))
    answers = [answer for group in sample(engine, n=8) for answer in group]
    assert state.seen[-1]["stop"] == [stop]
    assert any(stop in engine.decode(answer.ids) for answer in free)
    assert all(stop not in answer.text for answer in answers)
    assert all(engine.decode(answer.ids).startswith(answer.text) for answer in answers)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "needs either a command.*or the base_url"),
        ({"base_url": "http://h/v1", "command": "serve {folder} {digest} {port}"}, "set exactly one"),
        ({"base_url": "localhost:8000"}, "'localhost:8000' is no address"),
        ({"base_url": "http://me:secret@h/v1"}, "holds a name, a password"),
        ({"command": "vllm serve {folder} --port {port}"}, "lacks {digest}; for example: vllm serve"),
        ({"command": "vllm 'serve {folder} {digest} {port}"}, "cannot be read"),
        ({"base_url": "http://h/v1", "unverified_identity": True}, "go together"),
        ({"base_url": "http://h/v1", "served_name": "gpt"}, "go together"),
    ],
)
def test_settings_that_name_no_server_are_refused(settings, message):
    with pytest.raises(UserError, match=message) as raised:
        OpenaiServer(**settings)
    assert "secret" not in str(raised.value)


def test_keys_know_the_model_and_the_kind_of_server_and_not_its_address():
    settings = OpenaiServer(base_url="http://h:1", concurrency=4, key_variable="A").model_dump(mode="json")
    elsewhere = OpenaiServer(base_url="http://other:2/v1/", concurrency=9, key_variable="B", attempts=2).model_dump(mode="json")
    assert by_content({"engine": settings}) == by_content({"engine": elsewhere})
    assert "base_url" not in by_content(settings)
    other = OpenaiServer(base_url="http://h:1", server="sglang").model_dump(mode="json")
    assert seeds.digest(by_content(settings)) != seeds.digest(by_content(other))


def test_it_is_an_engine_factory_and_survives_json():
    settings = OpenaiServer(base_url="http://h:1")
    assert isinstance(settings, EngineFactory)
    assert load(settings.model_dump(mode="json")) == settings
    assert settings.base_url == "http://h:1/v1"
