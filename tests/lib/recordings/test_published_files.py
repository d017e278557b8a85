"""Published outputs of real models, verified by the stages themselves, against the labels that their authors gave."""

from __future__ import annotations

import shutil
from collections import Counter

import pyarrow.compute as pc
import pytest

from lib import records, tables
from lib.problems.named import named
from lib.protocols import Machine, Work
from lib.recordings import report
from lib.recordings.recordings import Recordings
from lib.recordings.report import Judged
from lib.stages import recordings as recordings_stage
from lib.stages import verify as verify_stage
from lib.verifiers.answer import Answer

needs_sandbox = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed, and model code runs nowhere else")


def verified(tmp_path, completions, spec=None, usual=None):
    source = named(spec) if spec else None
    settings = {
        "recordings": Recordings(path=str(completions)).model_dump(mode="json"),
        "source": source and source.model_dump(mode="json"),
    }
    read, judged = tmp_path / "read", []
    read.mkdir()
    recordings_stage.run(Work(settings, {}, {}, 0, Machine()), read)
    shards = sorted(read.glob("shard-*"))
    told = [verifier.model_dump(mode="json") for verifier in (source.verifiers() if source else (usual,))]
    for shard in shards:
        judged.append(tmp_path / f"verdicts-{shard.name}")
        judged[-1].mkdir()
        verify_stage.run(Work({"verifiers": told}, {"problems": [shard], "completions": [shard]}, {}, 0, Machine()), judged[-1])

    def table(folders, spec):
        return tables.read([folder / f"{spec.name}.parquet" for folder in folders], spec)

    return Judged(
        table(shards, records.PROBLEMS),
        table(shards, records.COMPLETIONS),
        table(shards, records.VERDICTS),
        table(judged, records.VERDICTS),
    )


def agreed(judged):
    return [(matrix.agreed, matrix.total) for matrix in report.with_labels(judged)]


def disagreeing(judged):
    return [(row["problem"], row["sample"]) for matrix in report.with_labels(judged) for row in report.disagreements(judged, matrix)]


def test_gsm8k_solutions_of_four_models_agree_in_2640_of_2640(tmp_path, data):
    judged = verified(tmp_path, data / "gsm8k" / "example_model_solutions.shared.jsonl", f"gsm8k:{data / 'gsm8k'}")
    assert agreed(judged) == [(2640, 2640)]
    correct = {row["completion_id"] for row in judged.verdicts.to_pylist() if row["outcome"] == "correct"}
    models = Counter(row["model_id"] for row in judged.completions.to_pylist() if row["completion_id"] in correct)
    figures = {"6b_finetuning": 146, "6b_verification": 266, "175b_finetuning": 225, "175b_verification": 371}
    assert models == {f"recorded:{model}": count for model, count in figures.items()}


@pytest.mark.slow
def test_qwen_samples_agree_but_for_the_one_wrong_label(tmp_path, data):
    judged = verified(tmp_path, data / "qwen_math_rm100" / "math_cot_100.jsonl", usual=Answer())
    assert agreed(judged) == [(799, 800)]
    assert disagreeing(judged) == [("72", 7)]
    assert judged.labels.filter(pc.is_null(judged.labels["outcome"])).num_rows == 800  # the reward model's scores


def test_game_of_24_samples_agree_in_10000_of_10000(tmp_path, data):
    judged = verified(tmp_path, data / "tot_game24" / "gpt4_standard_100x100.json", f"game24:{data / 'tot_game24' / '24.csv'}")
    assert agreed(judged) == [(10_000, 10_000)]
    assert report.counts(judged)[0]["correct"] == 734


def test_countdown_outputs_are_right_in_19_per_cent(tmp_path, data):
    folder = data / "d1_llada"
    judged = verified(tmp_path, folder / "countdown_256.jsonl", f"countdown_file:{folder / 'countdown_cd3_test.jsonl'}")
    assert round(report.counts(judged)[0]["mean score"], 3) == 0.191


@pytest.mark.slow
@needs_sandbox
def test_humaneval_programs_agree_in_164_of_164(tmp_path, data):
    file = data / "reflexion_code" / "humaneval_gpt35_simple.jsonl"
    assert agreed(verified(tmp_path, file, f"humaneval:{data / 'humaneval' / 'HumanEval.jsonl.gz'}")) == [(164, 164)]


@pytest.mark.slow
@needs_sandbox
def test_mbpp_programs_agree_but_for_six_whose_tests_pass(tmp_path, data):
    file = data / "reflexion_code" / "mbpp_gpt4_simple.jsonl"
    judged = verified(tmp_path, file, f"mbpp:{data / 'mbpp' / 'mbpp.jsonl'}")
    assert agreed(judged) == [(391, 397)]
    assert [int(problem.split("_")[1]) for problem, _ in disagreeing(judged)] == [67, 170, 419, 598, 724, 798]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "prompts", "labelled", "found"),
    [
        ("qwen2.5-3b", {"loose": 332, "strict": 310}, {"loose": 595, "strict": 566}, {"loose": 594, "strict": 566}),
        ("claude-3-haiku", {"loose": 425, "strict": 371}, {"loose": 711, "strict": 645}, {"loose": 711, "strict": 645}),
    ],
)
def test_ifeval_labels_are_read_whole_and_in_parts(tmp_path, data, model, prompts, labelled, found):
    """The one instruction in which the counts differ is the verifier's own affair: its test says why."""
    judged = verified(tmp_path, data / "ifeval" / f"{model}.jsonl", f"ifeval:{data / 'ifeval'}")
    matrices = report.with_labels(judged)
    assert [(matrix.first, matrix.second) for matrix in matrices] == [(f"recorded:{mode}", f"instructions_{mode}") for mode in prompts]
    assert [row["correct"] for row in report.counts(judged)] == list(prompts.values())
    assert [sum(n for (label, _), n in matrix.counts.items() if label == "correct") for matrix in matrices] == list(prompts.values())
    rows = [report.parts(judged, matrix) for matrix in matrices]
    assert [row["right by label"] for row in rows] == list(labelled.values())
    assert [row["right by verifier"] for row in rows] == list(found.values())
    assert {row["parts"] for row in rows} == {834}
