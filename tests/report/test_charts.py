"""Charts of the report: names are shown as they are, and only panels of classes."""

from io import BytesIO

import pytest

from fasterfpn.report.charts import ap_by_class, class_counts, precision_recall

FIGURE = {"value": 0.5, "low": 0.4, "high": 0.6}


@pytest.mark.parametrize("name", ["$$", r"$\frac$", "$5 to $6", "a_b^c"])
def test_a_name_is_no_formula(name):
    network = {"AP": {name: FIGURE, "dent": FIGURE}, "precision_recall": {name: [1.0, 0.0], "dent": None}}
    counts = {part: {"images_by_class": {name: 1, "dent": 2}} for part in ("train", "val", "test")}
    for figure in (ap_by_class({"one": network}, {}), precision_recall({"one": network}), class_counts(counts)):
        figure.savefig(BytesIO(), format="svg")
        texts = [axis.get_title() for axis in figure.axes]
        texts += [label.get_text() for axis in figure.axes for label in axis.get_xticklabels()]
        assert name.replace("$", r"\$") in texts


@pytest.mark.parametrize("classes", [1, 4, 5, 6, 7, 10])
def test_a_panel_for_each_class_and_no_more(classes):
    curves = {str(number): None if number == 0 else [1.0, 0.5] for number in range(classes)}
    figure = precision_recall({"one": {"precision_recall": curves}, "other": {"precision_recall": curves}})
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert [axis.get_title() for axis in shown] == list(curves)
    texts = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert texts == (["one", "other"] if classes > 1 else [])
