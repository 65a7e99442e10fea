"""The report's tables: rows of text, the first of them the heading, from the numbers of report.json.

`content` is report.json, `networks` one seed's part of it. A figure that is not defined is an empty cell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

Numbers = Mapping[str, Any]
Rows = list[list[str]]


def networks(content: Numbers) -> Rows:
    """Table 2: a row for each seed and network, with mAP, its interval, speed and size, beside the paper's."""
    paper = content["paper"]
    several = len(content["seeds"]) > 1
    head = ["network", *(["seed"] if several else []), "mAP (%)", "95 % interval", "s/image"]
    head += ["paper's mAP", "paper's s/image"] if paper else []
    rows = [[*head, "parameters (M)", "training (min)"]]
    for seed, entry in content["seeds"].items():
        for name, figures in entry["networks"].items():
            row = [name, *([seed] if several else []), _percent(figures["mAP"]["value"])]
            row += [_interval(figures["mAP"]), f"{figures['seconds_per_image']:.3f}"]
            if paper:
                row += [str(paper[key].get(name, "")) for key in ("mAP", "seconds_per_image")]
            rows.append([*row, f"{figures['parameters'] / 1e6:.2f}", f"{figures['training']['seconds'] / 60:.1f}"])
    return rows


def gains(content: Numbers) -> Rows:
    """Gains of every seed and network over the single-scale network: mAP, then AP by shorter side."""
    rows = [["gain over the single-scale network (points)", "seed", "gain", "95 % interval"]]
    for seed, entry in content["seeds"].items():
        bins = next(iter(entry["networks"].values()))["by_short_side"]
        for name, gained in entry["gains"].items():
            lines = [("mAP", gained["mAP"])]
            lines += [(bin_name(entry), gain) for entry, gain in zip(bins, gained["by_short_side"], strict=True)]
            rows += [[f"{name}, {text}", seed, _percent(gain["value"]), _interval(gain)] for text, gain in lines]
    return rows


def ap_by_class(content: Numbers) -> Rows:
    """Figure 11: a row for each class, a column for each seed and network, and the paper's."""
    paper, first = content["paper"].get("AP", {}), next(iter(content["seeds"].values()))
    columns = [(seed, name) for seed, entry in content["seeds"].items() for name in entry["networks"]]
    several = len(content["seeds"]) > 1
    head = ["AP (%)", "test objects", *(f"{name}, seed {seed}" if several else name for seed, name in columns)]
    names = [name for name in first["networks"] if name in content["paper"].get("mAP", {})]
    rows = [[*head, *(f"{name}, the paper" for name in names)]]
    for kind, objects in content["data"]["test"]["objects_by_class"].items():
        figures = [content["seeds"][seed]["networks"][name]["AP"][kind]["value"] for seed, name in columns]
        printed = [str(paper.get(name, {}).get(kind, "")) for name in names]
        rows.append([kind, str(objects), *map(_percent, figures), *printed])
    return rows


def ap_by_short_side(content: Numbers) -> Rows:
    """A row for each bin of the object's shorter side, a column for each seed and network."""
    several = len(content["seeds"]) > 1
    rows = [["shorter side", "test objects"]]
    for seed, entry in content["seeds"].items():
        for name, figures in entry["networks"].items():
            rows[0].append(f"{name}, seed {seed}" if several else name)
            for place, line in enumerate(figures["by_short_side"], start=1):
                if len(rows) <= place:
                    rows.append([bin_name(line), str(line["objects"])])
                rows[place].append(" ".join(filter(None, (_percent(line["AP"]["value"]), _interval(line["AP"])))))
    return rows


def objects_by_short_side(networks: Numbers) -> Rows:
    """A row for each class, a column for each bin: how many test objects there are."""
    bins = next(iter(networks.values()))["by_short_side"]
    kinds = bins[0]["objects_by_class"]
    head = ["test objects", *map(bin_name, bins)]
    return [head, *([kind, *(str(entry["objects_by_class"][kind]) for entry in bins)] for kind in kinds)]


def saliency(networks: Numbers, limits: Numbers) -> Rows:
    """A row for each network and class: how many times its share of the area the doubled box of the object holds of the
    map's mass, and on how many images that is enough; the heading alone without any."""
    enough, little = f"{limits['found']} or more", f"under {limits['blind']}"
    rows = [["network", "class", "images", "mass ratio", enough, "random weights", little]]
    for name, figures in networks.items():
        for kind, entry in figures["saliency_by_class"].items():
            row = [f"{entry['trained']:.1f}", entry["found"], f"{entry['random']:.1f}", entry["blind"]]
            rows.append([name, kind, str(entry["images"]), *map(str, row)])
    return rows


def bin_name(entry: Numbers) -> str:
    """ "4 to 8 px"; "64 px and more"; "all sizes"."""
    low, high = entry["low"], entry["high"]
    if low == 0 and high is None:
        return "all sizes"
    return f"{low:g} px and more" if high is None else f"{low:g} to {high:g} px"


def _percent(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{100 * value:.1f}"


def _interval(figure: Numbers) -> str:
    return "" if figure["low"] is None else f"[{100 * figure['low']:.1f}, {100 * figure['high']:.1f}]"
