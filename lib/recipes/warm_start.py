"""The built-in model's warm start: supervised learning on each problem's worked solution, as a round like any other.

A tenth of the prompts show a hint (the first intermediate result), so that the model knows what to do with one.
"""

from lib.evaluators.pass_at_k import PassAtK
from lib.filters.keep_correct import KeepCorrect
from lib.recipe import Phase, Recipe
from lib.samplers.reference_solutions import ReferenceSolutions
from lib.trainers.sft import Sft

RECIPE = Recipe(
    phases=(
        Phase(
            sampler=ReferenceSolutions(hint_share=0.1, template="{prompt}#{hint}:", ending=":", pattern=r"=(\d+);"),
            filters=(KeepCorrect(),),
            trainer=Sft(start_from="base", steps=1400, learning_rate=4e-3),
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)),),
    gate=None,
)
