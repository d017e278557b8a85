"""Tree search by its formulas: which node is chosen, and what its ancestors learn of a draw. No engine is asked here.

Selection of child a of node s, with V its value, N its visits, p its prior and c the exploration:

    uct     V(a) + c sqrt(f ln N(s) / N(a));  V(a) + u where N(a) = 0.   f = 1 in Agent-R (Yuan et al. 2025) and AlphaLLM (Tian et
            al. 2024); f = 2, c = 0.7 and u = 1 in the code of ReST-MCTS* (Zhang et al. 2024, THUDM/ReST-MCTS), whose u is named INF,
            though it makes a node that was never visited preferred and not certain
    puct    V(a) + c p(a) sqrt(N(s)) / (1 + N(a)), p(a) = exp(Σ_j log π(a_j) / |a|^λ); λ = 1.25 in the code of MCTS-DPO (Xie et al.
            2024, YuxiXie/MCTS-DPO), and λ = 1 is the mean probability of a token, taken geometrically

Backup, once a node was expanded by new children, each of which a verifier has judged with a value v:

    mean        every child: W += v, N += 1 and V = W / N, for the child and all its ancestors (Agent-R's)
    rest_mcts   the child that selection likes best is rolled out: V <- (1 - α) V + α R, N = 1; for its ancestors N += 1 and
                V = Σ_c N(c) V(c) / Σ_c N(c) (ReST-MCTS*, α = 0.5)
    mcts_dpo    reward r(a) = v(a) - v(s), with v(root) = 0; a new child has V = r(a) + V'(s), where V' is what is expected after s;
                the child that selection likes best is visited: V = r + γ V', N += 1; for its ancestors
                V'(s) = Σ_a max(1, N(a)) V(a) / Σ_a max(1, N(a)), V = r + γ V', N += 1 (MCTS-DPO, where V is Q and V' is V)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Node:
    """A step of an answer with all that led to it; the root is the empty answer."""

    parent: Node | None = None
    draw: int = -1
    """Which completion of the problem made it; the root has none."""
    tokens: int = 0
    """How many of that completion's tokens lead to it and are its own."""
    terminal: bool = False
    prior: float | None = None
    judged: float | None = 0.0
    """What the verifier said of it; None where it could not say, and then the node is not searched."""
    value: float = 0.0
    """V."""
    total: float = 0.0
    """The sum of what was backed up through it, once a visit."""
    visits: int = 0
    ahead: float = 0.0
    """V' of mcts_dpo: what is expected after it."""
    children: list[Node] = field(default_factory=list)
    closed: bool = False
    """Whether nothing below it can be expanded."""
    expanded: int = 0
    """How often it was, whether or not that made children that it did not have."""
    passes: int = 0
    """How many expansions were its own or of a node below it."""

    @property
    def depth(self) -> int:
        return 0 if self.parent is None else 1 + self.parent.depth

    @property
    def reward(self) -> float:
        """r: by how much it is judged better than its parent."""
        return 0.0 if self.parent is None else (self.judged or 0.0) - (self.parent.judged or 0.0)

    def path(self) -> Iterator[Node]:
        """Itself and its ancestors, the root last."""
        here: Node | None = self
        while here is not None:
            yield here
            here = here.parent


Liking = Callable[[Node], float]
"""How much selection likes a child."""

Wish = Callable[[Node], bool]
"""Whether a node that was expanded is to be so again."""


def uct(node: Node, exploration: float, log_factor: int, unvisited: float) -> float:
    """How much UCT likes a child, as above."""
    parent = node.parent
    if parent is None or node.visits == 0:
        return node.value + unvisited
    return node.value + exploration * math.sqrt(log_factor * math.log(parent.visits) / node.visits)


def puct(node: Node, exploration: float) -> float:
    """How much PUCT likes a child, as above."""
    visits = 0 if node.parent is None else node.parent.visits
    return node.value + exploration * (node.prior or 0.0) * math.sqrt(visits) / (1 + node.visits)


def step_prior(logprobs: Sequence[float], exponent: float) -> float:
    """p = exp(Σ_j log π(a_j) / |a|^λ) of a step's tokens."""
    return math.exp(math.fsum(logprobs) / len(logprobs) ** exponent)


def is_narrow(node: Node, widening: float) -> bool:
    """Whether a node was expanded less than n^w times, n the expansions of it and below it; with w = 0 one is never widened.

    Progressive widening (Coulom 2007; Couëtoux et al. 2011), for steps that cannot all be tried. Expansions count, and neither
    children, of which equal steps make one, nor visits, of which some backups count one for each draw: a node whose first steps
    are soon all known, or that is visited as often as it is drawn from, would be expanded for ever, and nothing below it.
    """
    return widening > 0 and node.expanded < node.passes**widening


def selected(root: Node, liking: Liking, wants: Wish = lambda node: False) -> Node:
    """The node to expand: down from the root to the child liked best, past what is closed; of equals the one made first.

    A node that `wants` other children is expanded again, instead of going further down. Where everything is closed it is
    the root, which is then widened by other first steps.
    """
    node = root
    while node.children and not node.closed and not wants(node):
        node = max((child for child in node.children if not child.closed), key=liking)
    return node


def expand(node: Node, children: Sequence[Node]) -> None:
    """Hang new children below a node. A child without a judgement is closed, as a terminal one is."""
    for child in children:
        child.value = child.judged or 0.0
        child.closed = child.terminal or child.judged is None
    node.children += children
    node.expanded += 1
    for one in node.path():
        one.passes += 1
        one.closed = all(child.closed for child in one.children)


def back_up_mean(node: Node, value: float) -> None:
    """A value goes to a node and to all its ancestors."""
    for one in node.path():
        one.total += value
        one.visits += 1
        one.value = one.total / one.visits


def back_up_weighted(node: Node, rollout: float, alpha: float) -> None:
    """ReST-MCTS*: a child just made was rolled out with this value, and its ancestors' values are means by visits."""
    node.value = (1 - alpha) * node.value + alpha * rollout
    value = node.value
    for one in node.path():
        one.visits += 1
        one.total += value
        if one.children:
            one.value = math.fsum(c.visits * c.value for c in one.children) / sum(c.visits for c in one.children)


def expect(node: Node) -> None:
    """MCTS-DPO: the value of a child just made, from what is expected after its parent so far."""
    node.value = node.reward + (0.0 if node.parent is None else node.parent.ahead)


def back_up_rewards(node: Node, gamma: float) -> None:
    """MCTS-DPO: a child just made was visited; every value on the path is reward and discounted expectation."""
    judged = node.judged or 0.0
    for one in node.path():
        known = [child for child in one.children if child.judged is not None]
        if known:
            weights = [max(1, child.visits) for child in known]
            one.ahead = math.fsum(w * child.value for w, child in zip(weights, known, strict=True)) / sum(weights)
        one.visits += 1
        one.total += judged
        one.value = one.reward + gamma * one.ahead
