"""A campaign's folder as the command would leave it, with no model made."""

from __future__ import annotations

from flows.at_work import Work
from lib.campaign import CampaignFolder
from lib.campaign_settings import Campaign, ProblemPlan
from lib.home import Home
from lib.job import Label
from lib.opening import Opening
from lib.round_record import RoundRecord


def begun(home: Home, rounds: int = 2, name: str = "one") -> CampaignFolder:
    opening, folder = Opening(rounds=rounds, counts={"train": 40}), CampaignFolder(home, name)
    recipe, source = opening.preview()
    problems = ProblemPlan(source.model_dump(mode="json"), opening.counted(source))
    folder.create(Campaign(name, "expert_iteration", recipe.dump(), 0, problems, {"policy": "b" * 64}, rounds=rounds))
    return folder


def ended(folder: CampaignFolder, number: int, state: str = "accepted") -> None:
    row = {"split": "validation", "evaluator": "PassAtK", "metric": "pass_at_1", "slice": "all", "value": 0.5, "stderr": 0.03, "n": 9}
    made = {"policy": str(number) * 64} if number else {}
    decision = {"accepted": True, "sentence": f"{state}: as it should"}
    folder.write_round(RoundRecord(folder.name, number, 1, state, start={"policy": "b" * 64}, made=made, metrics=[row], decision=decision))


def tell(folder: CampaignFolder, label: Label, share: float, *, working: bool = True) -> None:
    work = Work()
    if working:
        work.hear(label, 0, 1)
    work.hear(label, 1, 1)
    folder.write_progress({**work.facts(label), "share": share})
