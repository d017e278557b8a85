import pytest

from lib import hub
from lib.datafile import digest
from lib.errors import BadProblems

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("hf:openai/gsm8k", ("openai/gsm8k", None, None)),
        ("hf:openai/gsm8k/main", ("openai/gsm8k", "main", None)),
        ("hf:openai/gsm8k@v1.0", ("openai/gsm8k", None, "v1.0")),
        ("hf:o/n/c@refs/convert/parquet", ("o/n", "c", "refs/convert/parquet")),
    ],
)
def test_an_address_has_a_name_a_config_and_a_revision(address, parts):
    found = hub.parsed(address)
    assert tuple(found) == parts and str(found) == address


@pytest.mark.parametrize("address", ["hf:", "hf:gsm8k", "hf:a/b/c/d", "hf:a/b@", "hf:a b/c", "hf:../x", "gsm8k"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(BadProblems, match="is no address"):
        hub.parsed(address)


def test_an_address_at_a_commit_stands_for_itself_without_a_network():
    assert digest(f"hf:openai/gsm8k/main@{COMMIT}") == f"hf:openai/gsm8k/main@{COMMIT}"


@pytest.mark.parametrize("address", ["hf:openai/gsm8k", "hf:openai/gsm8k/main@main", "hf:openai/gsm8k@0123abc"])
def test_offline_an_address_without_a_commit_asks_for_one(address):
    with pytest.raises(BadProblems, match=r"cannot be looked up .*offline.* give it: hf:openai/gsm8k.*@COMMIT"):
        digest(address)
