"""Teacher forcing says of given tokens what sampling recorded of them, in any company and any stretch."""

from pathlib import Path

import pytest
import torch

from lib import models, scoring
from lib.engines.huggingface import Huggingface
from lib.errors import UserError
from lib.protocols import Machine, Request, silent
from lib.seeds import seed_of
from tests.tiny_models import writer

LENGTHS = (3, 9, 1, 14, 5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return writer(tmp_path_factory.mktemp("writer"))


@pytest.fixture(scope="module")
def engine(folder: Path):
    return Huggingface().open(folder, "m", Machine())


@pytest.fixture(scope="module")
def sampled(engine):
    """(prompt, completion as sampled) of ragged prompts, two each."""
    draws = torch.Generator().manual_seed(3)
    prompts = [torch.randint(5, 25, (length,), generator=draws).tolist() for length in LENGTHS]
    requests = [Request(prompt, (seed_of(place, 0), seed_of(place, 1))) for place, prompt in enumerate(prompts)]
    groups = engine.sample(requests, temperature=0.8, top_p=0.9, max_new_tokens=25, report=silent)
    return [(request.prompt_ids, one) for request, group in zip(requests, groups, strict=True) for one in group]


def pairs(sampled):
    return [(prompt, one.ids) for prompt, one in sampled]


def close(ours, theirs) -> bool:
    return torch.allclose(torch.tensor(ours), torch.tensor(theirs), atol=1e-4)


def test_logprobs_and_entropies_match_those_of_sampling(engine, sampled):
    assert len({len(one.ids) for _, one in sampled}) > 1
    for (_, one), scored in zip(sampled, engine.score(pairs(sampled), silent), strict=True):
        assert close(scored.logprobs, one.logprobs_at_1)
        assert sum(scored.entropies) / len(scored.entropies) == pytest.approx(one.entropy_mean, abs=1e-4)


def test_figures_match_a_plain_forward_pass(engine, folder, sampled):
    model = models.load_model(folder, dtype="float32", device="cpu")
    for (prompt, ids), scored in zip(pairs(sampled), engine.score(pairs(sampled), silent), strict=True):
        with torch.inference_mode():
            logits = model(torch.tensor([[*prompt, *ids]]), use_cache=False).logits[0, len(prompt) - 1 : -1]
        probabilities = logits.softmax(-1)
        best = probabilities.sort(-1, descending=True).values
        assert close(scored.logprobs, logits.log_softmax(-1).gather(1, torch.tensor(ids)[:, None])[:, 0].tolist())
        assert close(scored.margins, (best[:, 0] - best[:, 1]).tolist())
        assert close(scored.entropies, torch.special.entr(probabilities).sum(-1).tolist())


@pytest.mark.parametrize("logits", [1, 300, 2_000])
def test_a_score_does_not_depend_on_the_stretches_or_the_batch(engine, folder, sampled, monkeypatch, logits):
    whole = engine.score(pairs(sampled), silent)
    monkeypatch.setattr(scoring, "LOGITS_ON_CPU", logits)
    two_rows = Huggingface().open(folder, "m", Machine(micro_batch=2))
    for one, other in zip(whole, two_rows.score(pairs(sampled), silent), strict=True):
        assert close(one.logprobs, other.logprobs) and close(one.entropies, other.entropies) and close(one.margins, other.margins)


def test_no_stretch_holds_more_logits_than_allowed(engine, sampled, monkeypatch):
    monkeypatch.setattr(scoring, "LOGITS_ON_CPU", 600)
    shapes = []
    real = scoring._stretches
    monkeypatch.setattr(scoring, "_stretches", lambda *a: (shapes.append(s[1].numel()) or s for s in real(*a)))
    engine.score(pairs(sampled), silent)
    assert len(shapes) > 5
    assert max(shapes) <= 600


def test_a_completion_without_tokens_has_no_figures(engine):
    scored = engine.score([([5, 6], []), ([5, 6], [7])], silent)
    assert [len(one.logprobs) for one in scored] == [0, 1]
    assert engine.score([], silent) == []


def test_progress_counts_every_pair(engine, sampled):
    seen: list[tuple[int, int]] = []
    engine.score([*pairs(sampled), ([5], [])], lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(sampled) + 1, len(sampled) + 1)


def test_what_passes_the_models_positions_is_refused(engine):
    assert engine.positions == 128
    with pytest.raises(UserError, match="128 positions"):
        engine.score([([5] * 100, [6] * 29)], silent)
    assert len(engine.score([([5] * 100, [6] * 28)], silent)[0].logprobs) == 28


@pytest.mark.parametrize(("rows", "positions"), [(1, 100), (3, 20), (8, 10**6)])
def test_batches_hold_every_place_once_and_respect_both_bounds(rows, positions):
    lengths = [3, 9, 9, 5, 14, 1, 20, 2]
    made = list(scoring.batches(lengths, rows, positions))
    assert sorted(place for batch in made for place in batch) == list(range(len(lengths)))
    assert all(len(batch) <= rows for batch in made)
    assert all(len(batch) == 1 or len(batch) * max(lengths[p] for p in batch) <= positions for batch in made)
