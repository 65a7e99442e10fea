"""Writes what the interactive figures show into docs/static/figures: `python docs/figures/interactive.py`.

The numbers go into data.js, the running image into running.jpg, its darkness on each level into feature_maps.js.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent / "static" / "figures"
sys.path.insert(0, str(HERE.parent))

from figures.chapter_02 import five_detections  # noqa: E402
from figures.chapter_09 import CHAIN, CHAIN_SCORES, pretend_rpn, stages  # noqa: E402
from figures.chapter_10 import brightness  # noqa: E402
from figures.running import CLASSES, SIZE, running_image  # noqa: E402
from PIL import Image  # noqa: E402
from torch import Tensor, cat  # noqa: E402

from fasterfpn.engine.average_precision import EVERY_SIDE, judge_class  # noqa: E402

RANKS = [21, 511, 594, 3395, 3678, 3948, 4653]  # of boxes around the crater that a reader can tell apart


def around_the_crater() -> tuple[Tensor, Tensor]:
    """Return decoded boxes (7, 4) of the pretended RPN in whole pixels, best first, and their scores."""
    logits = cat([logit[0].topk(min(1000, logit.shape[1])).values for logit in pretend_rpn()[0]])
    return stages()[1][1][RANKS].round(), logits.sort(descending=True).values.sigmoid()[RANKS]


def data() -> dict:
    """Return the numbers by their names in the scripts."""
    boxes, scores = around_the_crater()
    judged = judge_class(*five_detections(), 1, 0.5, False, EVERY_SIDE)
    target = running_image()[1]
    return {
        "chain": {"boxes": CHAIN.tolist(), "scores": [round(score, 2) for score in CHAIN_SCORES.tolist()]},
        "crater": {"boxes": boxes.tolist(), "scores": [round(score, 4) for score in scores.tolist()]},
        "size": SIZE,
        "truths": target["boxes"].tolist(),
        "names": [CLASSES[label - 1] for label in target["labels"].tolist()],
        "right": judged.true.tolist(),
        "defects": int(judged.positives.sum()),
    }


def feature_maps() -> dict[str, str]:
    """Return the running image's darkness on the cells of P2 to P5 by level: a byte for each, 255 for black."""
    maps = {level: ((1 - brightness(2**level)) * 255).round().byte().numpy() for level in (2, 3, 4, 5)}
    return {str(level): base64.b64encode(values.tobytes()).decode() for level, values in maps.items()}


def script(name: str, value: object) -> str:
    """Return a classic script that defines a constant, and that Node can load."""
    guard = f'if (typeof module !== "undefined") module.exports = {name};'
    head = '"use strict";\n\n/* Written by docs/figures/interactive.py. */\n'
    return f"{head}const {name} = {json.dumps(value)};\n\n{guard}\n"


if __name__ == "__main__":
    (FOLDER / "data.js").write_text(script("FIGURE_DATA", data()), encoding="utf-8")
    (FOLDER / "feature_maps.js").write_text(script("FEATURE_MAPS", feature_maps()), encoding="utf-8")
    pixels = (running_image()[0] * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(FOLDER / "running.jpg", quality=80)
