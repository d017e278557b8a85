"""Test-time training (after TT-SI, Acikgoz et al. 2025, and test-time training at large): adapt to a problem before answering it.

The rounds are plain expert iteration; what is new is measured. Beside the model as it is, a copy of it is adapted to each held-out
problem by four steps on its own majority among sixteen attempts, with no gold answer, and sampled; adapted_found and
unadapted_found are of the same problems, at most 32 of a shard, and the same seeds. Left out: training on variants of the problem
that the model invents, choosing which problems are worth it, adapters in place of whole weights.
"""

from lib.evaluators.found import Found
from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.cap_per_problem import CapPerProblem
from lib.filters.dedup import Dedup
from lib.filters.keep_correct import KeepCorrect
from lib.recipe import Phase, Recipe
from lib.samplers.adapted import Adapted
from lib.samplers.independent import Independent
from lib.trainers.sft import Sft
from lib.verifiers.majority import Majority

ADAPTED = Adapted(trainer=Sft(steps=4, learning_rate=3e-4, warmup_share=0.0), verifiers=(Majority(by="text"),), n=4, problems=32)

RECIPE = Recipe(
    phases=(
        Phase(
            sampler=Independent(n=8, temperature=1.0),
            filters=(KeepCorrect(), Dedup(), CapPerProblem(n=4)),
            trainer=Sft(start_from="previous", replay=("base",), steps=700, learning_rate=1.5e-3),
            accumulate="all",
        ),
    ),
    evaluators=(
        PassAtK(k=(1, 8)),
        GreedyAccuracy(),
        Found(name="adapted", sampler=ADAPTED),
        Found(name="unadapted", sampler=Adapted(n=4, problems=32)),
    ),
)
