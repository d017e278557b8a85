from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import Tensor

from lib.records import IGNORED, SFT
from lib.trainers.likelihoods import Likelihood, Marginal
from lib.trainers.objective import k3
from lib.trainers.sft import Sft
from tests.lib.trainers.formulas import FOUR, LABELS, LOGPROBS, differ, drawn, exact, tokens


def weighted(weight: list[float], **settings: object) -> dict[str, Tensor]:
    """The batch that Sft makes of two rows with these labels."""
    rows = [
        {"example_id": f"e{i}", "problem_id": "p", "input_ids": [1, 5, 5, 5], "labels": LABELS[i].tolist(), "weight": w}
        for i, w in enumerate(weight)
    ]
    both = np.arange(2)
    return Sft.model_validate(settings)._items(SFT.table(rows))(both, both)


@pytest.mark.parametrize(
    ("weight", "reduction", "loss"),
    [
        ([1.0, 1.0], "tokens", 0.48),
        ([1.0, 1.0], "weights", 0.48),
        ([1.0, 1.0], "rows", 1.2),
        ([1.0, 1.0], "row_means", 0.525),
        ([2.0, 1.0], "tokens", 0.78),
        ([2.0, 1.0], "weights", 0.5571429),
        ([2.0, 2.0], "tokens", 0.96),
        ([2.0, 2.0], "weights", 0.48),
    ],
)
def test_weighted_likelihood_by_hand(weight: list[float], reduction: str, loss: float) -> None:
    assert Likelihood()(LOGPROBS, weighted(weight, reduction=reduction)).loss.item() == pytest.approx(loss, abs=1e-6)


def test_weight_one_is_plain_maximum_likelihood_to_the_last_bit() -> None:
    scores = drawn(0).float()
    assert Likelihood()(scores, weighted([1.0, 1.0])).loss.item() == (-scores.sum() / 5.0).item()


def test_likelihood_near_a_reference_is_the_written_formula() -> None:
    reference = drawn(2)
    batch = {"labels": LABELS, "weight": exact(2.0, -0.5), "divisor": exact(7.0)[0], "labelled": exact(5.0)[0]}

    def formula(scores: Tensor) -> Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for i, weight in enumerate((2.0, -0.5)):
            for ours, theirs in zip(tokens(scores, i), tokens(reference, i), strict=True):
                against = torch.exp(theirs) / torch.exp(ours)
                total = total - weight * ours / 7 + 0.3 * (against - torch.log(against) - 1) / 5
        return total

    assert differ(Likelihood(0.3), {**batch, "reference_logprobs": reference}, formula, drawn(1)) < 1e-12


def test_k3_is_unbiased_for_the_divergence_and_never_negative() -> None:
    policy, reference = exact(0.5, 0.5), exact(0.25, 0.75)
    estimates = k3(policy.log(), reference.log())
    assert estimates.tolist() == pytest.approx([0.1931472, 0.0945349], abs=1e-6)
    assert (policy * estimates).sum().item() == pytest.approx(0.1438410, abs=1e-6)
    k1 = (policy / reference).log()
    assert k1.tolist() == pytest.approx([0.6931472, -0.4054651], abs=1e-6)
    assert (policy * k1).sum().item() == pytest.approx(0.1438410, abs=1e-6)


def solutions(*likelihoods: float) -> tuple[Tensor, dict[str, Tensor]]:
    rows = torch.tensor([[value] for value in likelihoods], dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([[IGNORED, 5]] * len(likelihoods))
    return rows, {"labels": labels, "group": torch.zeros(len(likelihoods), dtype=torch.long), "divisor": exact(1.0)[0]}


@pytest.mark.parametrize(
    ("beta", "loss", "weights"),
    [(1.0, 0.6867383, (0.7310586, 0.2689414)), (0.5, 0.0518460, (0.6224593, 0.3775407)), (0.0, 1.5, (0.5, 0.5))],
)
def test_marginal_likelihood_by_hand(beta: float, loss: float, weights: tuple[float, float]) -> None:
    scores, batch = solutions(-1.0, -2.0)
    terms = Marginal(beta)(scores, batch)
    terms.loss.backward()
    assert terms.loss.item() == pytest.approx(loss, abs=1e-6)
    assert scores.grad is not None
    assert (-scores.grad[:, 0]).tolist() == pytest.approx(weights, abs=1e-6)
    assert terms.figures["largest_share"][0].item() == pytest.approx(weights[0], abs=1e-6)


def test_marginal_likelihood_lies_between_mle_and_mml() -> None:
    scores, batch = solutions(-1.0, -2.0)
    near = Marginal(0.01)(scores, batch).loss.item() + math.log(2) / 0.01
    assert near == pytest.approx(1.4987500, abs=1e-6)
    for beta in (0.0, 0.3, 1.0):
        alone, one = solutions(-1.5)
        assert Marginal(beta)(alone, one).loss.item() == pytest.approx(1.5, abs=1e-12)


@pytest.mark.parametrize("beta", [0.0, 0.4, 1.0])
def test_marginal_likelihood_is_the_written_formula(beta: float) -> None:
    group = [0, 0, 0, 1]

    def formula(scores: Tensor) -> Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for problem in (0, 1):
            each = [sum(tokens(scores, i, FOUR)) for i in range(4) if group[i] == problem]
            marginal = torch.stack([torch.exp(beta * one) for one in each]).sum().log() / beta if beta else sum(each) / len(each)
            total = total - marginal
        return total / 2

    batch = {"labels": FOUR, "group": torch.tensor(group), "divisor": exact(2.0)[0]}
    assert differ(Marginal(beta), batch, formula, drawn(3, FOUR)) < 1e-12


def test_the_first_token_of_a_row_is_no_label() -> None:
    row = {"example_id": "e", "problem_id": "p", "input_ids": [5, 5], "labels": [5, IGNORED], "weight": 1.0}
    table: pa.Table = SFT.table([row])
    assert Sft()._items(table).sequences.labelled.tolist() == [0]
