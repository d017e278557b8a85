"""MCTS-DPO (Xie et al., "Monte Carlo Tree Search Boosts Reasoning via Iterative Preference Learning", 2024).

A tree is searched by PUCT with the policy's own length-penalised probabilities as priors. Of the steps that go on from one
place, the best by Q is preferred to the worst; the loss is conservative DPO on what follows the shared tokens, with a
probability of being the wrong way round that comes of how often both were visited.

Left out: the policy's own judgement of a step (a draw's outcome, 1 or 0, is its value alone), the schedule of depths and of
branches, and several epochs over one tree.
"""

from lib.evaluators.found import Found
from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.sibling_pairs import SiblingPairs
from lib.recipe import Phase, Recipe, Stage
from lib.samplers.independent import Independent
from lib.samplers.tree import Tree
from lib.trainers.preference import Preference
from lib.verifiers.countdown import Countdown
from lib.verifiers.likelihood import Likelihood

TREE = Tree(simulations=4, branch=4, value=Countdown(), separator=";", select="puct", backup="mcts_dpo", widening=0.5)

RECIPE = Recipe(
    phases=(
        Phase(
            stages=(
                Stage(verb="sample", run=(TREE,)),
                Stage(verb="verify", run=(Countdown(), Likelihood())),
                Stage(verb="filter", run=(SiblingPairs(),)),
                Stage(verb="train", run=(Preference(loss="cdpo", start_from="previous", beta=0.1, learning_rate=5e-5, steps=200),)),
            ),
        ),
    ),
    evaluators=(PassAtK(), GreedyAccuracy(), Found(name="tree", sampler=TREE), Found(name="independent", sampler=Independent(n=16))),
)
