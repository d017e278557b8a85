"""The formulas of tree search, against numbers worked out by hand."""

import math

import pytest

from lib.samplers import search
from lib.samplers.search import Node


def family(*children, visits=0):
    """A root with children of (value, visits)."""
    root = Node(visits=visits)
    made = [Node(root, place, judged=value, visits=its) for place, (value, its) in enumerate(children)]
    search.expand(root, made)
    return root, made


@pytest.mark.parametrize(
    ("log_factor", "exploration", "expected"),
    [
        (1, 1.0, 0.5 + math.sqrt(math.log(10) / 4)),
        (2, 0.7, 0.5 + 0.7 * math.sqrt(2 * math.log(10) / 4)),
        (2, 0.0, 0.5),
    ],
)
def test_uct_adds_what_few_visits_leave_open(log_factor, exploration, expected):
    _, (child,) = family((0.5, 4), visits=10)
    assert search.uct(child, exploration, log_factor, unvisited=1.0) == pytest.approx(expected)


def test_a_node_without_visits_is_preferred_and_not_certain():
    _, (new, tried) = family((0.2, 0), (0.9, 1), visits=3)
    assert search.uct(new, 0.7, 2, unvisited=1.0) == pytest.approx(1.2)
    assert search.uct(tried, 0.7, 2, unvisited=1.0) == pytest.approx(0.9 + 0.7 * math.sqrt(2 * math.log(3)))
    assert search.uct(tried, 0.0, 2, unvisited=0.1) > search.uct(new, 0.0, 2, unvisited=0.1)


def test_puct_weighs_by_the_prior():
    _, (child,) = family((0.25, 2), visits=9)
    child.prior = 0.5
    assert search.puct(child, 2.0) == pytest.approx(0.25 + 2 * 0.5 * 3 / 3)


@pytest.mark.parametrize(
    ("logprobs", "exponent", "expected"),
    [
        ([-1.0, -3.0], 1.0, math.exp(-2)),
        ([-1.0, -3.0], 1.25, math.exp(-4 / 2**1.25)),
        ([-1.0, -3.0], 0.0, math.exp(-4)),
        ([0.0], 1.25, 1.0),
    ],
)
def test_the_prior_is_the_steps_probability_tempered_by_its_length(logprobs, exponent, expected):
    assert search.step_prior(logprobs, exponent) == pytest.approx(expected)


def test_the_mean_counts_every_draw_once_on_its_way_up():
    root, (left, right) = family((1.0, 0), (0.0, 0))
    below = [Node(left, 2, judged=0.0), Node(left, 3, judged=0.0)]
    search.expand(left, below)
    for node, value in ((left, 1.0), (right, 0.0), (below[0], 0.0), (below[1], 0.0)):
        search.back_up_mean(node, value)
    assert [(n.visits, n.total, n.value) for n in (root, left, right)] == [(4, 1.0, 0.25), (3, 1.0, 1 / 3), (1, 0.0, 0.0)]
    assert left.visits == 1 + sum(child.visits for child in left.children)


def test_rest_mcts_mixes_the_rollout_in_and_weighs_ancestors_by_visits():
    root, (left, right) = family((0.6, 0), (0.4, 0))
    search.back_up_weighted(left, rollout=0.2, alpha=0.5)
    assert (left.value, left.visits, right.value, right.visits) == (pytest.approx(0.4), 1, 0.4, 0)
    assert (root.value, root.visits) == (pytest.approx(0.4), 1)
    search.back_up_weighted(right, rollout=1.0, alpha=0.25)  # 0.75 x 0.4 + 0.25 = 0.55
    assert (root.value, root.visits) == (pytest.approx((0.4 + 0.55) / 2), 2)
    below = Node(left, 2, judged=0.9)
    search.expand(left, [below])
    search.back_up_weighted(below, rollout=0.9, alpha=0.5)
    assert (left.value, left.visits) == (pytest.approx(0.9), 2)
    assert root.value == pytest.approx((2 * 0.9 + 0.55) / 3)


def test_mcts_dpo_backs_up_rewards_and_counts_the_unvisited_once():
    root, (left, right) = family((1.0, 0), (0.5, 0))
    for child in (left, right):
        search.expect(child)
    search.back_up_rewards(left, gamma=0.5)
    assert (left.value, left.visits, root.ahead, root.visits) == (1.0, 1, 0.75, 1)
    below = [Node(left, 2, judged=0.0), Node(left, 3, judged=1.0)]
    search.expand(left, below)
    for child in below:
        search.expect(child)
    assert [child.value for child in below] == [-1.0, 0.0]  # r = v(a) - v(s)
    search.back_up_rewards(below[1], gamma=0.5)
    assert (left.ahead, left.value, left.visits) == (-0.5, 1.0 + 0.5 * -0.5, 2)
    assert root.ahead == pytest.approx((2 * 0.75 + 0.5) / 3)


def test_a_child_that_could_not_be_judged_weighs_nothing():
    root = Node()
    known, unknown = Node(root, 0, judged=1.0), Node(root, 1, judged=None)
    search.expand(root, [known, unknown])
    search.back_up_rewards(known, gamma=1.0)
    assert root.ahead == 1.0
    assert search.selected(root, lambda node: 5.0 if node is unknown else 0.0) is known


def test_selection_goes_down_to_a_leaf_and_takes_the_first_of_equals():
    root, (left, right) = family((0.5, 1), (0.5, 1), visits=2)
    assert search.selected(root, lambda node: node.value) is left
    assert search.selected(root, lambda node: float(node is right)) is right
    below = Node(right, 2, judged=0.1)
    search.expand(right, [below])
    assert search.selected(root, lambda node: float(node is not left)) is below


def test_what_is_finished_closes_its_ancestors_and_then_the_root_is_widened():
    root, (left, right) = family((0.9, 1), (0.1, 1), visits=2)
    search.expand(left, [Node(left, 2, terminal=True, judged=1.0)])
    assert (left.closed, root.closed) == (True, False)
    assert search.selected(root, lambda node: node.value) is right
    search.expand(right, [Node(right, 3, terminal=True, judged=0.0)])
    assert search.selected(root, lambda node: node.value) is root
    search.expand(root, [Node(root, 4, judged=0.0)])
    assert search.selected(root, lambda node: node.value) is root.children[2]


@pytest.mark.parametrize(
    ("passes", "widening", "narrow"), [(1, 0.5, False), (4, 0.5, True), (2, 0.5, True), (100, 0.0, False), (2, 0.25, True)]
)
def test_a_node_is_narrow_while_it_was_expanded_less_than_what_went_through_it_asks_for(passes, widening, narrow):
    root, _ = family((0.5, 0), (0.5, 0))
    root.expanded, root.passes = 1, passes
    assert search.is_narrow(root, widening) is narrow


def test_an_expansion_counts_for_a_node_and_its_ancestors_though_it_makes_no_child():
    root, (left, right) = Node(), (Node(), Node())
    left.parent = right.parent = root
    search.expand(root, [left, right])
    search.expand(root, [])
    search.expand(left, [Node(left, 2, judged=0.5)])
    assert [(node.expanded, node.passes) for node in (root, left, right)] == [(2, 3), (1, 1), (0, 0)]


def test_a_node_that_wants_other_children_is_expanded_again():
    root, (left, _) = family((0.5, 1), (0.1, 1), visits=2)
    search.expand(left, [Node(left, 2, judged=0.5)])
    assert search.selected(root, lambda node: node.value, lambda node: node is left) is left
    assert search.selected(root, lambda node: node.value, lambda node: node is root) is root
    assert search.selected(root, lambda node: node.value) is left.children[0]
