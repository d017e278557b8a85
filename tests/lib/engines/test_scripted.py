import math
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from lib.engines.scripted import END, Scripted
from lib.protocols import EngineFactory, Machine, Request
from lib.strategy import load

SCRIPT = Scripted(answers=(("1+1=", ("2", "3", "zwölf")), ("hello", ("bye",))), otherwise="what?")


def opened(script=SCRIPT):
    return script.open(Path("no such folder"), "model-1", Machine())


def ask(prompt, seeds, *, temperature=1.0, max_new_tokens=64, engine=None):
    engine = engine or opened()
    request = Request(engine.render([{"role": "user", "content": prompt}]), tuple(seeds))
    law = {"temperature": temperature, "top_p": 1.0, "max_new_tokens": max_new_tokens}
    return engine.sample([request], **law, report=lambda done, total: None)[0]


def texts(samples):
    return [opened().decode(sample.ids) for sample in samples]


def test_each_stream_seed_picks_its_answer_again_and_again():
    assert texts(ask("1+1=", [0, 1, 2, 3, 2**63 - 1])) == ["2", "3", "zwölf", "2", "3"]
    assert ask("1+1=", [5, 7]) == ask("1+1=", [5, 7])


def test_greedy_takes_the_first_answer():
    samples = ask("1+1=", [1, 2], temperature=0.0)
    assert texts(samples) == ["2", "2"]
    assert samples[0].logprobs == [0.0, 0.0]


def test_other_prompts_get_the_other_answer():
    assert texts(ask("never heard", [3])) == ["what?"]


def test_a_finished_text_ends_with_the_end_token():
    (sample,) = ask("hello", [0])
    assert sample.ids == opened().encode("bye") and sample.ids[-1] == END
    assert sample.finish_reason == "stop"
    assert len(sample.logprobs) == len(sample.logprobs_at_1) == len(sample.ids)
    assert all(logprob < 0 for logprob in sample.logprobs)


@pytest.mark.parametrize(("limit", "finish"), [(2, "length"), (3, "length"), (4, "stop")])
def test_the_length_limit_cuts_and_says_so(limit, finish):
    (sample,) = ask("hello", [0], max_new_tokens=limit)
    assert sample.finish_reason == finish
    assert sample.ids == opened().encode("bye")[:limit]


def test_a_cut_inside_a_character_can_still_be_read():
    (sample,) = ask("1+1=", [2], max_new_tokens=3)
    assert opened().decode(sample.ids) == "zw\ufffd"


def test_text_goes_there_and_back():
    engine = opened()
    assert engine.decode(engine.encode("né 7\n")) == "né 7\n"
    assert END not in engine.render([{"role": "user", "content": "né 7\n"}])


def test_requests_are_answered_in_order_and_reported():
    engine, reports = opened(), []
    requests = [Request(engine.render([{"role": "user", "content": text}]), (0, 0)) for text in ("hello", "1+1=")]
    law = {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 8}
    answers = engine.sample(requests, **law, report=lambda done, total: reports.append((done, total)))
    assert [texts(samples) for samples in answers] == [["bye", "bye"], ["2", "2"]]
    assert reports == [(1, 2), (2, 2)]


def test_a_prompt_without_answers_is_refused():
    with pytest.raises(ValidationError):
        Scripted(answers=(("hello", ()),))


def test_it_is_an_engine_factory_and_survives_json():
    assert isinstance(SCRIPT, EngineFactory)
    assert load(SCRIPT.model_dump(mode="json")) == SCRIPT
    assert opened().model_id == "model-1"


def test_importing_these_strategies_loads_no_heavy_library():
    names = "engines.scripted problems.countdown verifiers.countdown verifiers.answer"
    names += " samplers.independent samplers.with_hint samplers.reference_solutions"
    imports = "; ".join(f"import lib.{name}" for name in names.split())
    heavy = "torch transformers trl prefect mlflow duckdb"
    code = f"import sys; {imports}; print(sorted(set('{heavy}'.split()) & set(sys.modules)))"
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_tokens_that_an_answer_begins_with_are_likelier_than_others():
    engine = opened()
    prompt = engine.render([{"role": "user", "content": "1+1="}])
    known, cut, other = engine.score([(prompt, engine.encode(text)) for text in ("2", "", "23")], lambda done, total: None)
    assert known.logprobs == [-math.log(2)] * 2
    assert cut.logprobs == [-math.log(4)]
    assert other.logprobs == [-math.log(2), *[-math.log(4)] * 2]
    assert len(other.entropies) == len(other.margins) == 3
