"""GRPO at the frontier: only on problems that the model solves sometimes (the band of Xia et al., "Agent0", 2025).

Before each round a probe samples all of its problems, and those with a pass rate between 0.1 and 0.8 stay; the rest is
`grpo`, on problems of four numbers, for three make too few that can be solved. Agent0's band begins at 0.3, where the built-in
model has 9 of 500 such problems. Left out of Agent0: the agent that proposes problems, tools, pseudo-labels by majority (the
verifier judges here), and its ambiguity-dependent policy objective.
"""

from lib.controllers.frontier import Frontier
from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.group_advantages import GroupAdvantages
from lib.problems.countdown import Countdown
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.trainers.policy_gradient import PolicyGradient

RECIPE = Recipe(
    phases=(
        Phase(
            controllers=(Frontier(low=0.1, high=0.8, n=8),),
            sampler=Independent(n=8, temperature=1.0),
            filters=(GroupAdvantages(kind="grpo"),),
            trainer=PolicyGradient(start_from="previous", learning_rate=5e-4, batch_size=512, steps=25),
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy()),
    problems=Countdown(numbers=4),
)
