"""Datasets on the hub by address: `hf:OWNER/NAME`, `hf:OWNER/NAME/CONFIG`, either with `@REVISION` (a commit, branch or tag).

What a key holds is always a commit: an address without one is looked up, and where that cannot be done it is refused.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from lib.errors import BadProblems

HUB = "hf:"

_NAME = r"[A-Za-z0-9][\w.-]{0,95}"
_ADDRESS = re.compile(rf"{HUB}({_NAME}/{_NAME})(?:/([\w.+-]+))?(?:@([\w./-]+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Address(NamedTuple):
    """Where a dataset is."""

    name: str
    """OWNER/NAME."""
    config: str | None
    revision: str | None

    def __str__(self) -> str:
        return f"{HUB}{self.name}{f'/{self.config}' if self.config else ''}{f'@{self.revision}' if self.revision else ''}"


def parsed(address: str) -> Address:
    """The parts of an address. Raises BadProblems for one that is none."""
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise BadProblems(f"'{address}' is no address on the hub; write {HUB}OWNER/NAME, {HUB}OWNER/NAME/CONFIG, either with @REVISION")
    return Address(*match.groups())


def resolved(address: str) -> Address:
    """The same dataset at a commit, which is looked up once a process where the address has none.

    Raises BadProblems where the hub cannot be asked or does not know it.
    """
    found = parsed(address)
    return found if found.revision and _COMMIT.fullmatch(found.revision) else found._replace(revision=_commit(found))


@functools.lru_cache(maxsize=256)
def _commit(address: Address) -> str:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    try:
        commit = HfApi().dataset_info(address.name, revision=address.revision, timeout=30).sha
    except RepositoryNotFoundError:
        raise BadProblems(f"no dataset '{address.name}' on the hub that you may read; check its name, or set HF_TOKEN") from None
    except RevisionNotFoundError:
        raise BadProblems(f"dataset '{address.name}' has no revision '{address.revision}'; give a commit, branch or tag") from None
    except faults() as error:
        raise BadProblems(f"the commit of {address} cannot be looked up ({line(error)}); give it: {_at_commit(address)}") from None
    if not commit:
        raise BadProblems(f"the hub names no commit for {address}; give one: {_at_commit(address)}")
    return commit


def _at_commit(address: Address) -> str:
    return f"{address._replace(revision=None)}@COMMIT, 40 digits"


def faults() -> tuple[type[Exception], ...]:
    """What the hub's packages raise where the hub cannot be reached or does not answer as it should."""
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # httpx's or httpx2's, whichever it goes by

    return (OSError, ValueError, RuntimeError, HTTPError)


def line(error: Exception) -> str:
    """An exception of a library in one short line."""
    return " ".join(str(error).split())[:200] or type(error).__name__
