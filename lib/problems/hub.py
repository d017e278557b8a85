"""Rows of a dataset on the hub, through the package datasets, which runs no code of the dataset's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib import hub
from lib.errors import BadProblems
from lib.raw_rows import Fault, Raw

BATCH = 1000


def hub_rows(path: str) -> tuple[list[Raw | Fault], list[Raw | Fault]]:
    """The rows of the split `test`, and those of all other splits, of `hf:OWNER/NAME[/CONFIG][@REVISION]`.

    Raises BadProblems for an address that is none, a dataset or config that does not exist, and where the hub is out of reach
    and the dataset not in the cache.
    """
    splits = _loaded(hub.resolved(path))
    parts: tuple[list[Raw | Fault], list[Raw | Fault]] = ([], [])
    for name, rows in splits.items():
        place = 0
        for batch in rows.with_format("arrow").iter(BATCH):
            for values in batch.to_pylist():
                place += 1
                parts[name != "test"].append(Raw(f"{name} row {place}", values))
    return parts


def _loaded(address: hub.Address) -> Mapping[str, Any]:
    import datasets

    try:
        return datasets.load_dataset(address.name, address.config, revision=address.revision)
    except (*hub.faults(), datasets.exceptions.DatasetsError) as error:
        remedy = "check its name, config and revision, and that the hub can be reached"
        raise BadProblems(f"{address} cannot be read ({hub.line(error)}); {remedy}") from None
