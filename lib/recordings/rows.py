"""Rows of problems, completions and labels, as a recorded completion makes them."""

from __future__ import annotations

from typing import Any

from lib import records, seeds
from lib.recordings.layouts import Recording, clean

RECORDED = "recorded:"
"""What the verifier of a label and the model of a completion begin with."""
OWN_TASK = "recorded"
"""The task of problems that a file of completions brings itself."""


def own_problem(recording: Recording) -> dict[str, Any] | None:
    """The problem that a record brings; None where it has neither a prompt nor an id with a gold answer."""
    if recording.prompt is None and (recording.answer is None or recording.source_id is None):
        return None
    prompt = records.user_message(recording.prompt if recording.prompt is not None else str(recording.source_id))
    return {
        "problem_id": seeds.short_id(OWN_TASK, prompt, recording.answer, recording.tests),
        "task": OWN_TASK,
        "prompt": prompt,
        "source": "given",
        "born_round": 0,
        "answer": recording.answer,
        "tests": recording.tests,
        "source_id": recording.source_id,
    }


def completion_row(recording: Recording, problem_id: str, model_id: str) -> dict[str, Any]:
    """A row of records.COMPLETIONS, without tokens."""
    identity = {
        "problem_id": problem_id,
        "model_id": model_id,
        "sample_index": recording.sample_index,
        "text": recording.text,
        "finish_reason": recording.finish_reason,
    }
    return {
        "completion_id": seeds.short_id("recorded", identity),
        **identity,
        "group_id": seeds.short_id("recorded", problem_id, model_id),
        "turn": 0,
        "step": 0,
        "role": "policy",
        "prompt_ids": [],
        "completion_ids": [],
        "ids_source": "retokenised",
        "logprobs": [],
        "temperature": 0.0,
        "top_p": 1.0,
        "seed": 0,
    }


def label_rows(recording: Recording, completion_id: str) -> list[dict[str, Any]]:
    """What the file says of a completion, as rows of records.VERDICTS."""
    rows = []
    for column, told in recording.labels.items():
        share = sum(told.parts) / len(told.parts) if told.parts else float(told.whole)
        rows.append(_label(completion_id, column, told.whole, share))
        rows += [_label(completion_id, column, part, float(part), step) for step, part in enumerate(told.parts)]
    for column, score in recording.scores.items():
        rows.append({**_label(completion_id, column, True, score), "outcome": None})
    return rows


def _label(completion_id: str, column: str, is_right: bool, score: float, step: int | None = None) -> dict[str, Any]:
    return {
        "completion_id": completion_id,
        "verifier": clean(f"{RECORDED}{column}"),
        "reason": "as recorded",
        "n_tokens": 0,
        "outcome": "correct" if is_right else "wrong",
        "score": score,
        "step": step,
    }
