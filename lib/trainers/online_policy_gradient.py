"""Clipped policy gradient on what the model in training samples itself (T.pg, online): GRPO as it was published (Shao et al. 2024).

For each of `iterations`: the next problems are sampled from the weights as they stand, judged, made into examples with
advantages by the filters, and learned for `steps` steps of lib.trainers.clipped_update; one optimizer and one schedule of the
learning rate go through all of them. What was sampled, what was said of it, the examples and what each iteration came to are
kept beside the model. An iteration of which nothing is kept takes no step. Left out: sampling while the training goes on, and
a server that samples; the engine is one of this process, over the model itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import Field, model_validator

from lib import seeds, undecided
from lib.errors import UserError
from lib.protocols import Gathering, Machine
from lib.strategy import AnyStrategy
from lib.trainers.clipped_update import ClippedUpdate


class OnlinePolicyGradient(ClippedUpdate):
    """Samples, verifies and learns in turn, so that what it learns from is nearly its own."""

    online: ClassVar[bool] = True
    takes_own_verifiers: ClassVar[str] = "verifiers"

    sampler: AnyStrategy
    """What samples in every iteration."""
    filters: tuple[AnyStrategy, ...]
    """What makes examples of the completions; the last makes those of kind group, such as GroupAdvantages()."""
    verifiers: tuple[AnyStrategy, ...] = ()
    """What judges them; none takes the problem set's own."""
    iterations: int = Field(25, ge=1)
    """How often it samples anew."""
    problems: int = Field(64, ge=1)
    """Problems of an iteration, the next in an order that the seed shuffles; all of them where there are fewer."""
    undecided_limit: float = Field(undecided.LIMIT, ge=0, le=1)
    """The share of an iteration's verdicts that may be undecided; more of them end the training, as they end a verify stage."""
    steps: int | None = Field(1, ge=1)
    """Steps over each iteration's examples, batch_size in each; the first of them is on policy. What comes in none is not learned."""

    @model_validator(mode="after")
    def _is_counted_in_steps(self) -> OnlinePolicyGradient:
        if self.steps is None:
            raise UserError("OnlinePolicyGradient does not know how many examples it will have; give steps (an iteration), not epochs")
        if not self.filters or getattr(self.filters[-1], "makes", "") != self.learns_from:
            raise UserError("OnlinePolicyGradient learns groups; end its filters in what makes them, such as GroupAdvantages()")
        return self

    def train_online(self, models: Mapping[str, Path], gathering: Gathering, out: Path, seed: int, machine: Machine) -> dict[str, float]:
        """Save the new model to `out`; figures: those of PolicyGradient, over all iterations.

        Raises UserError if no iteration had an example, if they lack a reference that is needed, or if the loss stops being a
        number.
        """
        from lib import models as folders
        from lib.trainers.loop import Training, opened_writer
        from lib.trainers.objective import by_logprobs

        each = self.steps or 0
        model = opened_writer(models["start"], machine, entropy=True)
        training = Training(self, model, self.iterations * each, seed, machine)
        measure, learned = by_logprobs(self.objective(), entropy=True), 0
        for number in range(self.iterations):
            examples = gathering.gather(model, number)
            if not examples.num_rows:
                gathering.note(number, steps=0)
                continue
            items = self.items(examples)
            order = self.order(items.count, seeds.seed_of(seed, "order", number))
            training.steps(order, items, measure, first=number * each)
            learned += sum(items.labelled_in(step) for step in order)
            gathering.note(number, steps=len(order), **training.latest())
        if not learned:
            raise UserError(
                "OnlinePolicyGradient found nothing to learn in any iteration: no group was kept by its filters; "
                "sample more per problem, or start from a model that solves some"
            )
        folders.save(model, models["start"], out)
        return {**training.closing(), "tokens_trained": learned}
