"""The completions of two models on the same problems, brought together for verifiers that compare."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc


def together(completions: pa.Table, rivals: pa.Table) -> pa.Table:
    """Both, in one group a problem, so that whoever compares within a group compares across the models too.

    Samplers give every model groups of its own. Without rivals the completions come back as they are.
    """
    if not rivals.num_rows:
        return completions
    new = rivals.filter(pc.invert(pc.is_in(rivals["completion_id"], completions["completion_id"].combine_chunks())))
    both = pa.concat_tables([completions, new])
    return both.set_column(both.schema.get_field_index("group_id"), both.schema.field("group_id"), both["problem_id"])
