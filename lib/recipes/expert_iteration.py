"""Expert iteration (ReST-EM: Singh et al., "Beyond Human Data", 2023; with replay): sample, keep what verifies, fine-tune.

Every round samples the next problems, keeps at most four distinct verified solutions of each, and learns, from the previous
model, on those of all rounds so far beside the warm-start data. ReST-EM restarts from the base model in every
round (`--set trainer.start_from=base`); here that was not distinguishable, and continuing is cheaper.
"""

from lib.evaluators.by_difficulty import ByDifficulty
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
            trainer=Sft(start_from="previous", replay=("base",), steps=700, learning_rate=1.5e-3),
            accumulate="all",
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy(), ByDifficulty()),
)
