"""Online rejection-sampling fine-tuning (Yuan et al., 2023; the continual form is the baseline of Zeng et al., "B-STaR", 2024).

Every round samples at a fixed temperature, keeps at most four different correct answers of each problem, and goes on from
the previous model with these alone. Left out: the optimizer's state, which begins anew in each round. Recipe `b_star` is
this one with a controller.
"""

from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.cap_per_problem import CapPerProblem
from lib.filters.dedup import Dedup
from lib.filters.keep_correct import KeepCorrect
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.trainers.sft import Sft

RECIPE = Recipe(
    phases=(
        Phase(
            sampler=Independent(n=8, temperature=1.0),
            filters=(KeepCorrect(), Dedup(), CapPerProblem(n=4)),
            trainer=Sft(start_from="previous", steps=350, learning_rate=5e-4),
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy()),
)
