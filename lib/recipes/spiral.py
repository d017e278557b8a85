"""SPIRAL (Liu et al., "Self-Play on Zero-Sum Games Incentivizes Reasoning via Multi-Agent Multi-Turn Reinforcement Learning", 2025).

The policy plays both sides of a game in which one player's gain is the other's loss; each player's turns are learned by
its reward less that player's own running mean, and what is measured is whether solving problems gets better from it. The
game is taking 1 to 3 from a pile, from a pile that each problem gives. Left out: several games, opponents of other rounds,
updates while games are played, and baselines that outlast a round.
"""

from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.role_advantages import RoleAdvantages
from lib.recipe import Phase, Recipe
from lib.samplers.game import Game
from lib.trainers.policy_gradient import PolicyGradient
from lib.verifiers.game_outcome import GameOutcome

RECIPE = Recipe(
    phases=(
        Phase(
            sampler=Game(n=2, turns=14),
            verifiers=(GameOutcome(),),
            filters=(RoleAdvantages(),),
            trainer=PolicyGradient(start_from="previous", learning_rate=3e-4, steps=25),
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy()),
    warm_start="warm_start_roles",
)
