from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lib import models
from lib.errors import BadModel
from lib.heads import load_with_head
from tests.tiny_models import classifier, encoder, writer


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return writer(tmp_path_factory.mktemp("writer"))


def grown(folder: Path, kind: Any = "token", seed: int = 3) -> Any:
    return load_with_head(folder, kind, seed=seed, device="cpu")


@pytest.mark.parametrize("kind", ["token", "sequence"])
def test_the_body_is_the_language_model_s_and_the_head_is_drawn_by_the_seed(start: Path, kind: Any) -> None:
    one, same, other = grown(start, kind), grown(start, kind), grown(start, kind, seed=4)
    body = models.load_model(start, dtype="float32", device="cpu").base_model.state_dict()
    assert all((one.base_model.state_dict()[name] == value).all() for name, value in body.items())
    assert (one.score.weight == same.score.weight).all()
    assert (one.score.weight != other.score.weight).any()
    assert one.score.weight.shape == (1, one.config.hidden_size)
    assert 0.005 < one.score.weight.std().item() < 0.05


@pytest.mark.parametrize("kind", ["token", "sequence"])
def test_what_is_saved_opens_again_as_it_was(start: Path, tmp_path: Path, kind: Any) -> None:
    one = grown(start, kind)
    models.save(one, start, tmp_path / "saved")
    again = grown(tmp_path / "saved", kind, seed=99)
    assert all((again.state_dict()[name] == value).all() for name, value in one.state_dict().items())
    assert models.head(tmp_path / "saved") == kind


def test_another_head_is_refused(tmp_path: Path) -> None:
    two = classifier(tmp_path / "two", "token", 2)
    with pytest.raises(BadModel, match="classifies a token into 2, and one logit for a token is wanted"):
        grown(two)
    with pytest.raises(BadModel, match="classifies a sequence into 1, and one logit for a token is wanted"):
        grown(encoder(tmp_path / "encoder"))
