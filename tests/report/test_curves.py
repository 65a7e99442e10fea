"""Loss curves: from CSV to PNG."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fasterfpn.errors import InputError
from fasterfpn.report.curves import TITLES, loss_curve, read_losses, running_mean


def write_losses(path, steps):
    """A run's losses.csv: total loss falls as 100 / step, each part a quarter of it."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "epoch", "learning_rate", *TITLES])
        for step in steps:
            part = 25 / step
            writer.writerow([step, step / 10, 0.001, 4 * part, part, part, part, part])
    return path


@pytest.mark.parametrize("records", [0, 1, 2, 60])
def test_a_run_of_any_length_gives_a_picture(tmp_path, records):
    loss_curve(write_losses(tmp_path / "losses.csv", range(50, 50 * records + 1, 50)), tmp_path / "new" / "losses.png")
    with Image.open(tmp_path / "new" / "losses.png") as picture:
        assert picture.size == (1440, 660)
        colours = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    dark_green = (np.abs(colours.astype(int) - (0, 100, 0)).max(axis=1) < 20).sum()
    assert (dark_green > 100) == (records > 1)  # a line in five panels


def test_columns_are_read_by_name(tmp_path):
    losses = read_losses(write_losses(tmp_path / "losses.csv", [50, 100]))
    assert list(losses) == ["step", *TITLES] and losses["step"].tolist() == [50, 100]
    assert losses["total_loss"].tolist() == [2, 1] and losses["roi_loc_loss"].tolist() == [0.5, 0.25]


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=30), st.integers(1, 40))
def test_running_mean_is_the_mean_of_the_last_values(values, window):
    expected = [np.mean(values[max(0, end - window) : end]) for end in range(1, len(values) + 1)]
    np.testing.assert_allclose(running_mean(np.array(values), window), expected, atol=1e-9)


@pytest.mark.parametrize("text", ["step,total_loss\n1,2\n", "step," + ",".join(TITLES) + "\n1,2,3,4,5,oops\n"])
def test_a_damaged_file_is_named(tmp_path, text):
    (tmp_path / "losses.csv").write_text(text)
    with pytest.raises(InputError, match=r"losses\.csv"):
        loss_curve(tmp_path / "losses.csv", tmp_path / "losses.png")
    assert not (tmp_path / "losses.png").exists()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"losses\.csv"):
        read_losses(tmp_path / "losses.csv")
