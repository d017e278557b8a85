"""RISE (Qu et al., "Recursive Introspection", 2024): learn to do better at the next turn, every turn weighted by its reward.

A wrong first attempt is answered four times again, with nothing but the word that it is not right. A turn stays if it is better
than the one before, the best of each problem and turn is learned behind the prompt that showed the failed attempt, and
counts exp(r / 0.4). Left out: turns past the second, a teacher who writes the better turn, and data of earlier rounds. The
built-in language has no word for `not right` alone, so the prompt says that the second step is wrong, whatever the attempt.
"""

from lib.countdown_roles import AGAIN, FOREIGN
from lib.evaluators.pass_at_k import PassAtK
from lib.evaluators.self_correction import SelfCorrection
from lib.filters.dedup import Dedup
from lib.filters.exp_weights import ExpWeights
from lib.filters.improved import Improved
from lib.filters.top import Top
from lib.recipe import Phase, Recipe, Stage
from lib.samplers.chain import Chain
from lib.samplers.independent import Independent
from lib.trainers.sft import Sft

RECIPE = Recipe(
    phases=(
        Phase(
            stages=(
                Stage(verb="sample", run=(Independent(n=4),)),
                Stage(verb="verify"),
                Stage(verb="sample", name="retry", run=(Chain(op="retry", of="first_wrong", n=4, template=AGAIN, foreign=FOREIGN),)),
                Stage(verb="verify", name="verify_retry"),
                Stage(
                    verb="filter",
                    reads=("verify", "verify_retry"),
                    run=(Improved(criterion="better"), Dedup(), Top(n=1, per="group"), ExpWeights(tau=0.4)),
                ),
                Stage(verb="train", run=(Sft(start_from="previous", steps=200, learning_rate=5e-4),)),
            ),
        ),
    ),
    evaluators=(
        PassAtK(k=(1, 8)),
        SelfCorrection(sampler=Chain(op="retry", first=Independent(n=4), template=AGAIN, foreign=FOREIGN)),
    ),
    warm_start="warm_start_roles",
)
