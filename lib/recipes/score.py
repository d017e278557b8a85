"""SCoRe (Kumar et al., "Training Language Models to Self-Correct via Reinforcement Learning", 2024): two turns, two stages.

Stage I, in the first round alone, rewards the second turn only, while the divergence from the base model keeps the first
where it is. Stage II rewards both turns, and the second with alpha times its progress on top. Baselines are those of a
problem's turn. Formulas and settings are recalled from the paper. Left out: updates while sampling, here there is one batch a
stage; a round goes on from the latest model, accepted or not. What the prompt says is explained in `rise`.
"""

from lib.countdown_roles import AGAIN, FOREIGN
from lib.evaluators.pass_at_k import PassAtK
from lib.evaluators.self_correction import SelfCorrection
from lib.filters.group_advantages import GroupAdvantages
from lib.recipe import Phase, Recipe, Stage
from lib.samplers.chain import Chain
from lib.samplers.independent import Independent
from lib.trainers.policy_gradient import PolicyGradient
from lib.verifiers.likelihood import Likelihood
from lib.verifiers.score_shaping import ScoreShaping

SHOWN = {"template": AGAIN, "foreign": FOREIGN}
TURNS = Stage(verb="sample", run=(Chain(model="latest", first=Independent(n=8, model="latest"), **SHOWN),))
GROUPS = GroupAdvantages(kind="rloo", verifier="shaped", drop_uniform=False)
LEARN = {"start_from": "latest", "learning_rate": 5e-4, "steps": 25}

RECIPE = Recipe(
    phases=(
        Phase(
            name="stage_1",
            first_round_only=True,
            stages=(
                TURNS,
                Stage(verb="verify"),
                Stage(verb="verify", name="shape", run=(ScoreShaping(stage=1),)),
                Stage(verb="verify", name="near", reads=("sample",), run=(Likelihood(model="base", turn=0),)),
                Stage(verb="filter", reads=("shape", "near"), run=(GROUPS,)),
                Stage(verb="train", run=(PolicyGradient(kl_coefficient=0.1, kl_where="given", **LEARN),)),
            ),
        ),
        Phase(
            name="stage_2",
            stages=(
                TURNS,
                Stage(verb="verify"),
                Stage(verb="verify", name="shape", run=(ScoreShaping(stage=2, alpha=1.0),)),
                Stage(verb="verify", name="near", reads=("sample",), run=(Likelihood(model="base"),)),
                Stage(verb="filter", reads=("shape", "near"), run=(GROUPS,)),
                Stage(verb="train", run=(PolicyGradient(kl_coefficient=0.01, **LEARN),)),
            ),
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)), SelfCorrection(sampler=Chain(first=Independent(n=4), **SHOWN))),
    warm_start="warm_start_roles",
)
