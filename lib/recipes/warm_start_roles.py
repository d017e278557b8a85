"""The built-in model's warm start with roles: it learns to solve, then also to check, fix, propose and play.

The first phase is the plain warm start. Then the model attempts the same problems itself, an exact checker finds the first
wrong step of each attempt, and it learns from lessons about its own mistakes and invented ones, on invented problems too, beside
the worked solutions, so that it forgets none. Every lesson counts alike, whatever its length, since a check is a single digit.
lib.countdown_roles says what each role is asked and replies.
"""

from lib.evaluators.pass_at_k import PassAtK
from lib.filters.keep import Keep
from lib.filters.keep_correct import KeepCorrect
from lib.filters.sft_rows import SftRows
from lib.recipe import Phase, Recipe, Stage
from lib.samplers.independent import Independent
from lib.samplers.reference_solutions import ReferenceSolutions
from lib.samplers.role_lessons import RoleLessons
from lib.trainers.sft import Sft

RECIPE = Recipe(
    phases=(
        Phase(
            sampler=ReferenceSolutions(hint_share=0.1, template="{prompt}#{hint}:", ending=":", pattern=r"=(\d+);"),
            filters=(KeepCorrect(),),
            trainer=Sft(start_from="base", steps=1400, learning_rate=4e-3),
        ),
        Phase(
            name="roles",
            stages=(
                Stage(verb="sample", name="attempts", run=(Independent(n=4, model="phase:main"),)),
                Stage(verb="sample", name="lessons", run=(RoleLessons(solve=1, fix=1, invented=9),)),
                Stage(verb="filter", reads=("lessons", "main/sample"), run=(Keep(where="role = 'reference'"), SftRows(weigh="examples"))),
                Stage(verb="train", run=(Sft(start_from="phase:main", steps=3400, learning_rate=4e-3),)),
            ),
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)),),
    gate=None,
)
