"""The report's tables: every number is in the right row and column; all numbers here are different."""

from fasterfpn.report import tables


def with_interval(value, low=None, high=None):
    return {"value": value, "low": low, "high": high}


def network(base):
    """One seed's numbers of a network; they all lie between `base` and `base` + 1 percent."""
    value = [base / 100 + place / 1000 for place in range(10)]
    bins = [
        {"low": 0.0, "high": 8.0, "objects": 3, "objects_by_class": {"crater": 1, "jet": 2}, "AP": with_interval(None)},
        {
            "low": 8.0,
            "high": None,
            "objects": 9,
            "objects_by_class": {"crater": 4, "jet": 5},
            "AP": with_interval(value[1], value[2], value[3]),
        },
    ]
    return {
        "mAP": with_interval(value[4], value[5], value[6]),
        "seconds_per_image": base / 1000,
        "parameters": base * 1e6,
        "training": {"seconds": base * 60},
        "AP": {"crater": with_interval(value[7], 0.0, 1.0), "jet": with_interval(None)},
        "by_short_side": bins,
        "saliency_by_class": {
            "jet": {"images": 7, "trained": base, "random": base / 2, "found": base + 6, "blind": base + 5}
        },
    }


def entry(base):
    value = base / 100
    small = with_interval(-value / 10, -value / 10 - 0.01, -value / 10 + 0.01)
    gained = {"mAP": with_interval(value, value - 0.01, value + 0.02), "by_short_side": [with_interval(None), small]}
    return {
        "networks": {"multiscale": network(base), "single-scale": network(base + 1)},
        "gains": {"multiscale": gained},
    }


PAPER = {
    "mAP": {"multiscale": 75.8, "single-scale": 63.3},
    "seconds_per_image": {"multiscale": 0.84, "single-scale": 0.73},
    "AP": {"multiscale": {"crater": 100.0, "jet": 42.5}},
}
DATA = {"test": {"objects_by_class": {"crater": 11, "jet": 12}}}
TWO = {"seeds": {"0": entry(20), "1": entry(30)}, "paper": PAPER, "data": DATA}
ONE = {"seeds": {"4": entry(20)}, "paper": {}, "data": DATA}


def test_networks():
    assert tables.networks(TWO) == [
        [
            "network",
            "mAP (%)",
            "95 % interval",
            "s/image",
            "paper's mAP",
            "paper's s/image",
            "parameters (M)",
            "training (min)",
        ],
        ["multiscale, seed 0", "20.4", "[20.5, 20.6]", "0.020", "75.8", "0.84", "20.00", "20.0"],
        ["single-scale, seed 0", "21.4", "[21.5, 21.6]", "0.021", "63.3", "0.73", "21.00", "21.0"],
        ["multiscale, seed 1", "30.4", "[30.5, 30.6]", "0.030", "75.8", "0.84", "30.00", "30.0"],
        ["single-scale, seed 1", "31.4", "[31.5, 31.6]", "0.031", "63.3", "0.73", "31.00", "31.0"],
    ]


def test_one_seed_without_the_paper_needs_no_column_for_either():
    assert tables.networks(ONE)[:2] == [
        ["network", "mAP (%)", "95 % interval", "s/image", "parameters (M)", "training (min)"],
        ["multiscale", "20.4", "[20.5, 20.6]", "0.020", "20.00", "20.0"],
    ]
    assert tables.ap_by_class(ONE) == [
        ["AP (%)", "test objects", "multiscale", "single-scale"],
        ["crater", "11", "20.7", "21.7"],
        ["jet", "12", "", ""],
    ]


def test_gains():
    assert tables.gains(TWO) == [
        ["gain (points)", "multiscale, seed 0", "multiscale, seed 1"],
        ["mAP", "20.0 [19.0, 22.0]", "30.0 [29.0, 32.0]"],
        ["0 to 8 px", "", ""],
        ["8 px and more", "-2.0 [-3.0, -1.0]", "-3.0 [-4.0, -2.0]"],
    ]
    assert len(tables.gains({"seeds": {"0": entry(20) | {"gains": {}}}})) == 1  # a heading without rows is not shown


def test_ap_by_class_leaves_empty_what_the_paper_does_not_print():
    assert tables.ap_by_class(TWO) == [
        [
            *("AP (%)", "test objects", "multiscale, seed 0", "single-scale, seed 0", "multiscale, seed 1"),
            *("single-scale, seed 1", "multiscale, the paper", "single-scale, the paper"),
        ],
        ["crater", "11", "20.7", "21.7", "30.7", "31.7", "100.0", ""],
        ["jet", "12", "", "", "", "", "42.5", ""],
    ]


def test_ap_by_short_side():
    assert tables.ap_by_short_side(TWO) == [
        [
            *("shorter side", "test objects", "multiscale, seed 0", "single-scale, seed 0"),
            *("multiscale, seed 1", "single-scale, seed 1"),
        ],
        ["0 to 8 px", "3", "", "", "", ""],
        [
            *("8 px and more", "9", "20.1 [20.2, 20.3]", "21.1 [21.2, 21.3]"),
            *("30.1 [30.2, 30.3]", "31.1 [31.2, 31.3]"),
        ],
    ]


def test_objects_by_short_side():
    assert tables.objects_by_short_side(TWO["seeds"]["0"]["networks"]) == [
        ["test objects", "0 to 8 px", "8 px and more"],
        ["crater", "1", "4"],
        ["jet", "2", "5"],
    ]


def test_saliency():
    assert tables.saliency(ONE["seeds"]["4"]["networks"], {"found": 5.0, "blind": 2.0}) == [
        ["network", "class", "images", "concentration", "5.0 or more", "with random weights", "under 2.0"],
        ["multiscale", "jet", "7", "20.0", "26", "10.0", "25"],
        ["single-scale", "jet", "7", "21.0", "27", "10.5", "26"],
    ]
