"""Pictures of the report: a crop around a mistake is in the image and shows the whole box."""

from hypothesis import given
from hypothesis import strategies as st

from fasterfpn.report.pictures import CROP, crop_range


@given(st.integers(1, 300), st.floats(0, 1), st.floats(0, 1), st.floats(CROP[0], 400))
def test_a_crop_lies_in_the_image_and_shows_the_box(limit, one, other, side):
    low, high = sorted((one * limit, other * limit))
    start, end = crop_range(low, high, side, limit)
    assert 0 <= start <= low and high <= end <= limit
    assert end - start >= min(side, limit)


def test_a_crop_at_the_edge_is_as_large_as_one_in_the_middle():
    assert crop_range(0, 4, 48, 100) == (0, 48) and crop_range(48, 52, 48, 100) == (26, 74)
    assert crop_range(96, 100, 48, 100) == (52, 100) and crop_range(0, 100, 48, 100) == (0, 100)
