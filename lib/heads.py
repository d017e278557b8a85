"""Classification models that begin as language models: the same body, with a new head of one logit on it."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lib import models
from lib.errors import BadModel

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def load_with_head(folder: Path, kind: Literal["sequence", "token"], *, seed: int, device: str) -> PreTrainedModel:
    """A float32 model with one logit for a sequence or for every token, from a folder that has one or that of a causal model.

    A new head's weights are drawn by the seed, its bias is zero and it drops nothing out. Raises BadModel for any other
    model, and where transformers has no such classification model of this architecture.
    """
    has = models.head(folder)
    if has is None:
        return _grown(folder, kind, seed).to(device).eval()
    model: Any = models.load_classifier(folder, dtype="float32", device=device)
    if has != kind or model.config.num_labels != 1:
        raise BadModel(
            f"model folder {folder} classifies a {has} into {model.config.num_labels}, and one logit for a {kind} is wanted; "
            "start from a language model, or from a model that this trainer has made"
        )
    return model


def _grown(folder: Path, kind: str, seed: int) -> Any:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

    writer: Any = models.load_model(folder, dtype="float32", device="cpu")
    config = deepcopy(writer.config)
    config.num_labels, config.architectures, config.classifier_dropout = 1, None, 0.0
    if config.pad_token_id is None:  # a sequence model finds a row's end by it
        tokenizer = models.load_tokenizer(folder)
        config.pad_token_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else models.stop_ids(folder)[0]
    opener: Any = AutoModelForSequenceClassification if kind == "sequence" else AutoModelForTokenClassification
    try:
        model = opener.from_config(config, dtype=torch.float32)
        model.base_model.load_state_dict(writer.base_model.state_dict())
    except (ValueError, RuntimeError) as error:
        raise BadModel(f"model folder {folder} cannot be given a {kind} head: {str(error).splitlines()[0]}") from error
    body = {id(parameter) for parameter in model.base_model.parameters()}
    draw = torch.Generator().manual_seed(seed % 2**63)
    for parameter in model.parameters():
        if id(parameter) not in body and parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=getattr(config, "initializer_range", 0.02), generator=draw)
        elif id(parameter) not in body:
            torch.nn.init.zeros_(parameter)
    return model
