"""Makes the tables of the report from the numbers of report.json: rows of text, the first of them the heading.

`content` is report.json, `networks` one seed's "networks" in it. A number that is not defined is an empty cell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

Numbers = Mapping[str, Any]
Rows = list[list[str]]


def by_seed(content: Numbers, key: str = "networks") -> list[tuple[str, str, Numbers]]:
    """Each seed's "networks" or "gains": (heading, network, its numbers); several seeds are named in the heading."""
    several = len(content["seeds"]) > 1
    return [
        (f"{name}, seed {seed}" if several else name, name, numbers)
        for seed, entry in content["seeds"].items()
        for name, numbers in entry[key].items()
    ]


def networks(content: Numbers) -> Rows:
    """Table 2: a row for each seed and network with mAP, speed, size and, if there are any, the paper's results."""
    paper = content["paper"]
    head = ["network", "mAP (%)", "95 % interval", "s/image", *(["paper's mAP", "paper's s/image"] if paper else [])]
    rows = [[*head, "parameters (M)", "training (min)"]]
    for heading, name, results in by_seed(content):
        row = [heading, _percent(results["mAP"]), _interval(results["mAP"]), f"{results['seconds_per_image']:.3f}"]
        if paper:
            row += [str(paper[key].get(name, "")) for key in ("mAP", "seconds_per_image")]
        rows.append([*row, f"{results['parameters'] / 1e6:.2f}", f"{results['training']['seconds'] / 60:.1f}"])
    return rows


def gains(content: Numbers) -> Rows:
    """A row for mAP and for each bin of the shorter side, a column for each seed and network but the single-scale one;
    the heading alone without gains."""
    gained = by_seed(content, "gains")
    if not gained:
        return [[]]
    rows = [["gain (points)", *(heading for heading, _, _ in gained)]]
    rows.append(["mAP", *(_with_interval(gain["mAP"]) for _, _, gain in gained)])
    for place, entry in enumerate(by_seed(content)[0][2]["by_short_side"]):
        rows.append([bin_name(entry), *(_with_interval(gain["by_short_side"][place]) for _, _, gain in gained)])
    return rows


def ap_by_class(content: Numbers) -> Rows:
    """A row for each class, a column for each seed and network, and for each network of the paper."""
    runs, paper = by_seed(content), content["paper"].get("AP", {})
    printed = [name for name in content["paper"].get("mAP", {}) if name in {name for _, name, _ in runs}]
    head = ["AP (%)", "test objects", *(heading for heading, _, _ in runs)]
    rows = [[*head, *(f"{name}, the paper" for name in printed)]]
    for kind, objects in content["data"]["test"]["objects_by_class"].items():
        ours = [_percent(results["AP"][kind]) for _, _, results in runs]
        rows.append([kind, str(objects), *ours, *(str(paper.get(name, {}).get(kind, "")) for name in printed)])
    return rows


def ap_by_short_side(content: Numbers) -> Rows:
    """A row for each bin of the objects' shorter side, a column for each seed and network."""
    runs = by_seed(content)
    rows = [["shorter side", "test objects", *(heading for heading, _, _ in runs)]]
    for bins in zip(*(results["by_short_side"] for _, _, results in runs), strict=True):
        rows.append([bin_name(bins[0]), str(bins[0]["objects"]), *(_with_interval(entry["AP"]) for entry in bins)])
    return rows


def objects_by_short_side(networks: Numbers) -> Rows:
    """A row for each class, a column for each bin: how many test objects there are."""
    bins = next(iter(networks.values()))["by_short_side"]
    kinds = bins[0]["objects_by_class"]
    head = ["test objects", *map(bin_name, bins)]
    return [head, *([kind, *(str(entry["objects_by_class"][kind]) for entry in bins)] for kind in kinds)]


def saliency(networks: Numbers, limits: Numbers) -> Rows:
    """A row for each network and class: median concentration of the trained network's maps and on how many images it
    is high enough, then the same for random weights and low enough; the heading alone without measurements."""
    enough, little = f"{limits['found']} or more", f"under {limits['blind']}"
    rows = [["network", "class", "images", "concentration", enough, "with random weights", little]]
    for name, results in networks.items():
        for kind, entry in results["saliency_by_class"].items():
            row = [f"{entry['trained']:.1f}", entry["found"], f"{entry['random']:.1f}", entry["blind"]]
            rows.append([name, kind, str(entry["images"]), *map(str, row)])
    return rows


def bin_name(entry: Numbers) -> str:
    """ "4 to 8 px"; "64 px and more"; "all sizes"."""
    low, high = entry["low"], entry["high"]
    if low == 0 and high is None:
        return "all sizes"
    return f"{low:g} px and more" if high is None else f"{low:g} to {high:g} px"


def _with_interval(entry: Numbers) -> str:
    return f"{_percent(entry)} {_interval(entry)}".strip()


def _percent(entry: Numbers) -> str:
    return "" if entry["value"] is None or math.isnan(entry["value"]) else f"{100 * entry['value']:.1f}"


def _interval(entry: Numbers) -> str:
    return "" if entry["low"] is None else f"[{100 * entry['low']:.1f}, {100 * entry['high']:.1f}]"
