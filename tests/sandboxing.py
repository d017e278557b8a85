"""Whether programs can be run behind walls on this machine, and the mark for the tests that need it."""

import pytest

from lib import bubblewrap
from lib.errors import UserError


def missing() -> str:
    """Why there are no walls here; empty if there are."""
    try:
        bubblewrap.check(False)
    except UserError as error:
        return str(error)
    return ""


needs_walls = pytest.mark.skipif(bool(missing()), reason=f"needs bubblewrap: {missing()}")
