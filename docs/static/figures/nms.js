"use strict";

/* Non-maximum suppression, step by step. */
const Nms = (() => {
  const { iou } = typeof require === "undefined" ? Iou : require("./iou.js");

  /** Indices by descending score, of equal scores the lower index first. */
  const ranked = (scores) => scores.map((_, i) => i).sort((i, j) => scores[j] - scores[i] || i - j);

  /** One step for each box that is kept, best first: its index and, with their IoU, the boxes that it strikes out. */
  function steps(boxes, scores, threshold) {
    const done = [];
    let rest = ranked(scores);
    while (rest.length) {
      const [kept, ...others] = rest;
      const overlaps = others.map((index) => ({ index, iou: iou(boxes[kept], boxes[index]) }));
      done.push({ kept, suppressed: overlaps.filter((other) => other.iou > threshold) });
      rest = overlaps.filter((other) => !(other.iou > threshold)).map((other) => other.index);
    }
    return done;
  }

  return { ranked, steps };
})();

if (typeof module !== "undefined") module.exports = Nms;
