"""The contact sheet: rows of pictures, each with its boxes."""

import numpy as np
from PIL import Image

from fasterfpn.report.contact_sheet import RED, contact_sheet


def test_pictures_are_in_rows_and_boxes_scaled_with_them():
    colours = [(40 * nth, 0, 200) for nth in range(3)]
    pictures = [Image.new("RGB", (200, 100), colour) for colour in colours]
    sheet = np.array(contact_sheet([(p, [[50, 20, 150, 80]], "x") for p in pictures], columns=2, tile=(100, 80)))
    assert sheet.shape[1] == 2 * 116 + 16
    for colour, (left, top) in zip(colours, ((16, 16), (132, 16), (16, 146)), strict=True):
        tile = sheet[top : top + 80, left : left + 100]
        assert tuple(tile[0, 0]) == tuple(tile[40, 50]) == colour
        red = (tile == RED).all(2)
        columns, rows = np.flatnonzero(red.any(0)), np.flatnonzero(red.any(1))
        assert (columns[0], columns[-1], rows[0], rows[-1]) == (23, 76, 14, 65)
