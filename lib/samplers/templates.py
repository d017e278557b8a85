"""Filling in the templates from which samplers make prompts."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PLACE = re.compile(r"\{([a-z]+)\}")


def filled(template: str, values: Mapping[str, str]) -> str:
    """The template with `{name}` replaced for every name that has a value.

    In one pass, so that braces in what is filled in stay as they are. A null character, at which tokenizers break, becomes a space.
    """
    return _PLACE.sub(lambda match: values[match[1]].replace("\0", " ") if match[1] in values else match[0], template)
