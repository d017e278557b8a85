"""Addresses of servers, as people may see them."""

from __future__ import annotations

import re


def shown(text: str) -> str:
    """Text that names addresses, without the user names and passwords in them."""
    return re.sub(r"(?<=//)[^/@\s]*@", "", text)


def silence(error: OSError, seconds: str) -> str:
    """What an MLflow server did that gave no answer, and what to do."""
    said = str(error).lower()
    if failing := re.search(r"too many (\d+) error responses", said):
        how = f"it answers {failing[1]} to whatever it is asked"
    elif "timed out" in said:
        how = f"no answer within {seconds} s"
    else:
        how = "it hung up in the middle" if "aborted" in said else "nobody answers there"
    return f"{how}; start it, or unset MLFLOW_TRACKING_URI to use the home's own database"
