"""What things are called in MLflow."""

from __future__ import annotations

import re

TAG = "roundhouse."
"""What every tag of ours begins with."""


def experiment_name(campaign: str) -> str:
    return f"roundhouse/{campaign}"


def model_name(campaign: str, role: str) -> str:
    return f"{campaign}.{role}"


def metric_name(*parts: str) -> str:
    """Parts joined by `/`, without what MLflow refuses: pass@1 → pass_at_1, difficulty=4 → difficulty_4."""
    return re.sub(r"[^\w\-. /]", "_", "/".join(parts).replace("@", "_at_"), flags=re.ASCII)
