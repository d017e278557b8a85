import pytest
from scipy import stats

from lib.student import quantile, two_sided


@pytest.mark.parametrize("df", [1, 2, 2.7, 5, 30, 399.5, 1e5])
@pytest.mark.parametrize("t", [0.0, 0.3, 1.0, 2.5, 8.0, 40.0])
def test_tails_are_those_of_an_independent_implementation(t: float, df: float):
    assert two_sided(t, df) == pytest.approx(2 * stats.t.sf(t, df), rel=1e-9, abs=1e-290)
    assert two_sided(-t, df) == two_sided(t, df)


@pytest.mark.parametrize(("share", "df", "t"), [(0.975, 1, 12.706), (0.975, 2, 4.303), (0.975, 10, 2.228), (0.8, 5, 0.920)])
def test_quantiles_are_those_of_the_printed_tables(share: float, df: float, t: float):
    assert quantile(share, df) == pytest.approx(t, abs=5e-4)
