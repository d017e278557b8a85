from lib.filters.drop_truncated import DropTruncated
from tests.filter_stage import completion, filtered


def test_what_the_token_limit_cut_off_falls(tmp_path):
    result = filtered(tmp_path, [DropTruncated()], [completion("whole"), completion("cut", finish_reason="length")])
    assert result.kept == {"whole"}
    assert result.dropped == {"cut": "truncated"}
