"""Stop strings with a tokenizer whose tokens hold several characters, or parts of one."""

import pytest
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

from lib.engines.stops import Watch, before


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with merges: words are tokens, other alphabets fall into bytes."""
    made = Tokenizer(BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = BpeTrainer(vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<eos>"])
    made.train_from_iterator(["Question: what? Answer: that.\n\n" * 20], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<eos>")


@pytest.mark.parametrize("stop", ["Question:", "\n\n", "ion", "等等", "t.", "🙂"])
@pytest.mark.parametrize("after", ["", " and more"])
def test_it_is_found_at_the_token_that_completes_it(tokenizer, stop, after):
    watch = Watch(tokenizer, (stop,), len(tokenizer))
    text = f"Answer: th 1 é ü 等 {stop}{after}"
    ids = tokenizer(text)["input_ids"]
    ends = [watch.closing[ids[place]].item() and watch.is_stopped(ids[: place + 1]) for place in range(len(ids))]
    first = ends.index(True)
    assert stop in tokenizer.decode(ids[: first + 1])
    assert stop not in tokenizer.decode(ids[:first])
    assert before(text, (stop,)) == "Answer: th 1 é ü 等 "


def test_most_tokens_need_not_be_looked_at(tokenizer):
    watch = Watch(tokenizer, ("\n\n", "Question:"), len(tokenizer) + 7)
    assert watch.closing.shape == (len(tokenizer) + 7,)
    assert not watch.closing[tokenizer("what")["input_ids"]].any()


def test_the_earliest_of_several_strings_ends_the_text():
    assert before("a b c d", ("d", "b")) == "a "
    assert before("a b c d", ("x",)) == "a b c d"
