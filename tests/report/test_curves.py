"""Loss curves: five panels for a run of any length, and the running mean."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fasterfpn.report.curves import TITLES, loss_figure, running_mean, validation_figure


@pytest.mark.parametrize("records", [0, 1, 60])
def test_a_run_of_any_length_gives_five_panels_from_zero(records):
    step = np.arange(1.0, records + 1)
    columns = {"step": step} | {name: 100 / step for name in TITLES}
    figure = loss_figure({"run": columns})
    assert [axis.get_title() for axis in figure.axes] == [
        TITLES[name] for name in ("total_loss", "rpn_cls_loss", "rpn_loc_loss", "roi_cls_loss", "roi_loc_loss")
    ]
    for axis in figure.axes:
        raw, mean = axis.get_lines()
        assert raw.get_ydata().tolist() == (100 / step).tolist() and len(mean.get_ydata()) == records
        assert axis.get_ylim()[0] == 0


def test_no_run_is_cut_off():
    step = np.arange(1.0, 61)
    low, high = ({"step": step} | {name: scale / step for name in TITLES} for scale in (1, 100))
    for axis in loss_figure({"low": low, "high": high}).axes:
        assert axis.get_ylim()[1] > 100
    (axis,) = validation_figure({"low": [(5, 0.1), (10, None)], "high": [(5, 0.2), (10, 0.98)]}).axes
    assert axis.get_ylim()[0] == 0 and axis.get_ylim()[1] > 98


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=30), st.integers(1, 40))
def test_running_mean_is_the_mean_of_the_last_values(values, window):
    expected = [np.mean(values[max(0, end - window) : end]) for end in range(1, len(values) + 1)]
    np.testing.assert_allclose(running_mean(np.array(values), window), expected, atol=1e-9)
