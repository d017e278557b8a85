"""Re-ReST (Dou et al., "Re-ReST: Reflection-Reinforced Self-Training for Language Agents", 2024): failures are repaired, then learned.

The policy attempts each problem; a reflector, told by the verifier which step is wrong, repairs what failed. Attempts and
repairs that are right are learned by the policy, repairs as the answer to the prompt without reflection. The reflector, a
model of its own, learns from its repairs too. Left out: reflectors trained on other models' feedback, and data of earlier rounds.
"""

from lib.countdown_roles import FOREIGN
from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.cap_per_problem import CapPerProblem
from lib.filters.dedup import Dedup
from lib.filters.keep import Keep
from lib.filters.keep_correct import KeepCorrect
from lib.filters.sft_rows import SftRows
from lib.recipe import Phase, Recipe, Stage
from lib.samplers.chain import Chain
from lib.samplers.independent import Independent
from lib.trainers.sft import Sft
from lib.verifiers.first_wrong_step import FirstWrongStep

REPAIR = Chain(
    op="reflect",
    of="wrong",
    role="reflector",
    n=2,
    template="{attempt}#{reason}:{prompt}",
    foreign=FOREIGN,
    verifier="first_wrong_step",
)
LEARN = {"steps": 200, "learning_rate": 5e-4}

RECIPE = Recipe(
    phases=(
        Phase(
            stages=(
                Stage(verb="sample", run=(Independent(n=4),)),
                Stage(verb="verify", run=(FirstWrongStep(),)),
                Stage(verb="sample", name="repair", run=(REPAIR,)),
                Stage(verb="verify", name="verify_repaired", run=(FirstWrongStep(),)),
                Stage(
                    verb="filter",
                    reads=("verify", "verify_repaired"),
                    run=(KeepCorrect(), Dedup(), CapPerProblem(n=4), SftRows(prompt="parent")),
                ),
                Stage(verb="train", run=(Sft(start_from="previous", **LEARN),)),
            ),
        ),
        Phase(
            name="reflector",
            role="reflector",
            stages=(
                Stage(verb="filter", reads=("main/verify_repaired",), run=(Keep(where="turn > 0"), KeepCorrect(), Dedup())),
                Stage(verb="train", run=(Sft(start_from="previous", **LEARN),)),
            ),
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy()),
    warm_start="warm_start_roles",
)
