"""Shorter answers at equal accuracy (Zhao et al., "… Self-Guided Efficiency Enhancement", 2025): right is good, and brief is better.

Within the right answers of a group the reward grows from 1 for the longest to 1 + w for the shortest, and the advantages of
an offline policy gradient are taken over it, so that a group that is right throughout still teaches which answer to prefer.
The paper's exact form is not settled here; w is `--set verifiers.0.weight=0.5`. Left out: steering the activations.
"""

from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.group_advantages import GroupAdvantages
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.trainers.policy_gradient import PolicyGradient
from lib.verifiers.brevity import Brevity

RECIPE = Recipe(
    phases=(
        Phase(
            sampler=Independent(n=8, temperature=1.0),
            verifiers=(Brevity(weight=0.5),),
            filters=(GroupAdvantages(kind="grpo"),),
            trainer=PolicyGradient(start_from="previous", learning_rate=5e-4, batch_size=512, steps=25),
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy()),
)
