"""Supervised learning of corrections, the control for `score` (Pair-SFT in Kumar et al. 2024, after Welleck et al. 2023).

Each attempt is answered once more, without a word on what is wrong; a right solution of the problem is then learned behind the
prompt that shows a wrong attempt. SCoRe reports that this teaches to leave an answer as it is, or to improve on
mistakes that the model no longer makes. Left out: a filter on edit distance. What the prompt says is explained in `rise`.
"""

from lib.countdown_roles import AGAIN, FOREIGN
from lib.evaluators.pass_at_k import PassAtK
from lib.evaluators.self_correction import SelfCorrection
from lib.filters.correction_rows import CorrectionRows
from lib.recipe import Phase, Recipe, Stage
from lib.samplers.chain import Chain
from lib.samplers.independent import Independent
from lib.trainers.sft import Sft

RECIPE = Recipe(
    phases=(
        Phase(
            stages=(
                Stage(verb="sample", run=(Chain(first=Independent(n=4), template=AGAIN, foreign=FOREIGN),)),
                Stage(verb="verify"),
                Stage(verb="filter", run=(CorrectionRows(targets="any"),)),
                Stage(verb="train", run=(Sft(start_from="previous", steps=200, learning_rate=5e-4),)),
            ),
        ),
    ),
    evaluators=(
        PassAtK(k=(1, 8)),
        SelfCorrection(sampler=Chain(first=Independent(n=4), template=AGAIN, foreign=FOREIGN)),
    ),
    warm_start="warm_start_roles",
)
