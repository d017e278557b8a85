"""Temporal self-rewarding ("Temporal Self-Rewarding Language Models: Decoupling Chosen-Rejected via Past-Future", 2025).

As a self-rewarding model improves, its best and worst answers grow alike and the preference says ever less. So the rejected
side is the worst answer of the initial model, and the chosen one the best of the current model and of a future one: a
model that this round trains for the purpose, on the current model's best against the initial one's worst, and then forgets.
The current model judges all of them. Left out: prompts of the model's own making, and judging by a rubric of five points.
"""

from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.sourced_pairs import SourcedPairs
from lib.recipe import Phase, Recipe, Stage
from lib.samplers.independent import Independent
from lib.trainers.dpo import Dpo
from lib.verifiers.countdown import Countdown
from lib.verifiers.role_check import RoleCheck

LEARN = Dpo(start_from="previous", reference="previous", beta=0.1, nll_weight=1.0, learning_rate=5e-5, steps=200)

RECIPE = Recipe(
    phases=(
        Phase(
            name="future",
            stages=(
                Stage(verb="sample", run=(Independent(n=4),)),
                Stage(verb="sample", name="sample_past", run=(Independent(n=4, model="base", written_as="past"),)),
                Stage(verb="verify", reads=("sample", "sample_past"), run=(RoleCheck(), Countdown())),
                Stage(verb="filter", run=(SourcedPairs(chosen_from=("policy",), rejected_from=("past",), verifier="check"),)),
                Stage(verb="train", run=(LEARN,)),
            ),
        ),
        Phase(
            stages=(
                Stage(verb="sample", run=(Independent(n=4, model="phase:future", written_as="future"),)),
                Stage(verb="verify", run=(RoleCheck(), Countdown())),
                Stage(
                    verb="filter",
                    reads=("verify", "future/verify"),
                    run=(SourcedPairs(chosen_from=("policy", "future"), rejected_from=("past",), verifier="check"),),
                ),
                Stage(verb="train", run=(LEARN,)),
            ),
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy()),
    warm_start="warm_start_roles",
)
