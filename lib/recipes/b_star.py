"""B-STaR (Zeng et al., "B-STaR: Monitoring and Balancing Exploration and Exploitation in Self-Taught Reasoners", 2024).

Before each round a probe samples some of its problems at every temperature of a grid, and the round samples at the one with
the highest balance score; the rest is `rft_online`, the recipe to hold it against. The reward is being correct, so that the
score's factor for exploitation, the share of correct answers among those kept, is 1. Left out: the process reward model, which
makes it less, and with it the threshold (`Balance` takes both); the growing cap, the optimizer's state.
"""

from lib.controllers.balance import Balance
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
            controllers=(Balance(),),
            sampler=Independent(n=8, temperature=1.0),
            filters=(KeepCorrect(), Dedup(), CapPerProblem(n=4)),
            trainer=Sft(start_from="previous", steps=350, learning_rate=5e-4),
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy()),
)
