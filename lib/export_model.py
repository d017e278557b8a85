"""A model as `AutoModelForCausalLM.from_pretrained(FOLDER)` loads it: whole weights, configuration, tokenizer, and its card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lib import models
from lib.giving import aside, refuse
from lib.home import Home
from lib.in_use import counted_on
from lib.ledger import Ledger
from lib.lineage import resolve
from lib.lineage_models import stages_of
from lib.store import Store

_CARD = """# Model {short}

Made by roundhouse{where}; sha256 of its content `{digest}`.

```python
from transformers import AutoModelForCausalLM, AutoTokenizer
model = AutoModelForCausalLM.from_pretrained("FOLDER")
tokenizer = AutoTokenizer.from_pretrained("FOLDER")
```

What it learned from: `roundhouse lineage model {short}` in the home that it came from.
"""


def write(home: Home, name: str, target: Path) -> dict[str, Any]:
    """Write the model that a name means, an adapter merged into its base; says which it is.

    Raises UserError for a name that fits none or a target that is taken, Collected where its weights are gone.
    """
    refuse(target)
    with Ledger(home, views=False) as ledger:
        digest = resolve(ledger, "model", name)
        places = stages_of(ledger, [digest]).get(digest, [])
    store = Store(home.store)
    with counted_on(home.locks, digest, store.verify), aside(target) as out:
        models.import_folder(store.folder(digest), out)
        where = f" ({', '.join(places)})" if places else ""
        (out / "README.md").write_text(_CARD.format(short=digest[:12], digest=digest, where=where), encoding="utf-8")
        files = sorted(path.name for path in out.iterdir())
    return {"model": digest, "stands_in": places, "files": files}
