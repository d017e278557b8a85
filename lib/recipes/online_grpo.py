"""GRPO (Shao et al., "DeepSeekMath", 2024), online: sampling and learning in turn, inside one training.

Each iteration samples groups from the weights as they stand, takes advantages within each group, and makes one clipped step, on
512 of their completions (`trainer.batch_size`), so that every step is on policy; the clip matters from `--set trainer.steps=2`
on. A round is one such training, between two evaluations. Left out: the divergence from a reference
(`trainer.kl_coefficient`, with a Likelihood among its verifiers).
"""

from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.group_advantages import GroupAdvantages
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.trainers.online_policy_gradient import OnlinePolicyGradient

RECIPE = Recipe(
    phases=(
        Phase(
            trainer=OnlinePolicyGradient(
                sampler=Independent(n=8, temperature=1.0),
                filters=(GroupAdvantages(kind="grpo"),),
                iterations=50,
                problems=64,
                learning_rate=5e-4,
            ),
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy()),
)
