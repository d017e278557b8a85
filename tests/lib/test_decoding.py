"""One draw: the token, and its log-probability under the law and under the bare model."""

import math

import pytest
import torch

from lib.decoding import Law, draw


def law(temperature: float = 1.0, top_p: float = 1.0) -> Law:
    return Law(temperature, top_p, max_new_tokens=1, stop_ids=(0,))


PROBABILITIES = torch.tensor([[0.1, 0.0, 0.6, 0.3, 0.0]])


@pytest.mark.parametrize(("uniform", "token"), [(0.0, 0), (0.09, 0), (0.11, 2), (0.69, 2), (0.71, 3), (1 - 2**-24, 3)])
def test_the_token_is_the_inverse_of_the_cumulative_distribution(uniform, token):
    drawn = draw(PROBABILITIES.log(), torch.tensor([[uniform]]), law())
    assert drawn.ids.tolist() == [token]
    assert drawn.logprobs.item() == pytest.approx(math.log(PROBABILITIES[0, token]), abs=1e-6)


def test_no_token_without_mass_is_drawn_at_the_upper_end():
    logits = torch.randn(500, 50, generator=torch.Generator().manual_seed(1))
    logits[:, 40:] = float("-inf")
    drawn = draw(logits, torch.full((500, 1), 1 - 2**-24), law())
    assert drawn.ids.max() < 40
    assert drawn.logprobs.isfinite().all()


@pytest.mark.parametrize(("top_p", "kept"), [(0.5, {2}), (0.61, {2, 3}), (0.95, {0, 2, 3})])
def test_the_nucleus_is_the_fewest_likely_tokens_that_reach_top_p(top_p, kept):
    uniforms = torch.linspace(0, 1 - 2**-24, 200)[:, None]
    drawn = draw(PROBABILITIES.log().expand(200, -1), uniforms, law(top_p=top_p))
    assert set(drawn.ids.tolist()) == kept
    mass = PROBABILITIES[0, sorted(kept)].sum()
    assert torch.allclose(drawn.logprobs, (PROBABILITIES[0, drawn.ids] / mass).log(), atol=1e-6)
    assert torch.allclose(drawn.logprobs_at_1, PROBABILITIES[0, drawn.ids].log(), atol=1e-6)


def test_temperature_sharpens_the_law_and_leaves_the_bare_model_s_figures():
    drawn = draw(PROBABILITIES.log(), torch.tensor([[0.5]]), law(temperature=0.5))
    assert drawn.logprobs.item() == pytest.approx(math.log(0.36 / (0.01 + 0.36 + 0.09)), abs=1e-6)
    assert drawn.logprobs_at_1.item() == pytest.approx(math.log(0.6), abs=1e-6)
    assert drawn.entropies.item() == pytest.approx(-sum(p * math.log(p) for p in (0.1, 0.6, 0.3)), abs=1e-6)


def test_temperature_zero_takes_the_most_likely_token_and_is_certain_of_it():
    drawn = draw(PROBABILITIES.log(), torch.tensor([[0.99]]), law(temperature=0.0))
    assert (drawn.ids.item(), drawn.logprobs.item()) == (2, 0.0)
    assert drawn.logprobs_at_1.item() == pytest.approx(math.log(0.6), abs=1e-6)
