"""Self-rewarding (Yuan et al., "Self-Rewarding Language Models", 2024): the model judges what it writes, and learns what it prefers.

Each round the previous model answers, checks its own answers in its check role, and learns by DPO to prefer the answer that
it finds the likeliest right to the one that it finds the least. No gold answer is read: the exact verifier stands beside
the judge only to measure it. A term of plain likelihood on the chosen side keeps its probability from sinking with the
rejected one's. Left out: new problems of the model's own making, judging by a rubric of five points, and learning to judge
between rounds.
"""

from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.best_worst_pairs import BestWorstPairs
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.trainers.dpo import Dpo
from lib.verifiers.countdown import Countdown
from lib.verifiers.role_check import RoleCheck

RECIPE = Recipe(
    phases=(
        Phase(
            sampler=Independent(n=8, temperature=1.0),
            verifiers=(RoleCheck(), Countdown()),
            filters=(BestWorstPairs(verifier="check"),),
            trainer=Dpo(start_from="previous", reference="previous", beta=0.1, nll_weight=1.0, learning_rate=5e-5, steps=200),
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy()),
    warm_start="warm_start_roles",
)
