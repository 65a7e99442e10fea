"use strict";

/* Anchors on the grid of a level, and which of them are objects (1), background (0) or ignored (-1). */
const Anchors = (() => {
  /** The anchors of a level, x1 y1 x2 y2 one after the other: by row, column and ratio (height : width). */
  function ofLevel([height, width], stride, area, ratios) {
    const [rows, columns] = [Math.ceil(height / stride), Math.ceil(width / stride)];
    const sides = ratios.map((ratio) => [Math.sqrt(area / ratio), Math.sqrt(area * ratio)]);
    const flat = new Float64Array(rows * columns * ratios.length * 4);
    let k = 0;
    for (let y = 0; y < rows * stride; y += stride) {
      for (let x = 0; x < columns * stride; x += stride) {
        for (const [w, h] of sides) {
          flat[k++] = x - w / 2;
          flat[k++] = y - h / 2;
          flat[k++] = x + w / 2;
          flat[k++] = y + h / 2;
        }
      }
    }
    return flat;
  }

  /** All anchors of the network: an area and three ratios on each of P2 to P6. */
  function ofPyramid(size) {
    const levels = [2, 3, 4, 5, 6].map((level) => ofLevel(size, 2 ** level, (8 * 2 ** level) ** 2, [0.5, 1, 2]));
    const all = new Float64Array(levels.reduce((count, level) => count + level.length, 0));
    let start = 0;
    for (const level of levels) {
      all.set(level, start);
      start += level.length;
    }
    return all;
  }

  /** IoU of a box with each anchor. */
  function overlaps([x1, y1, x2, y2], flat) {
    const own = Math.max(x2 - x1, 0) * Math.max(y2 - y1, 0);
    const iou = new Float64Array(flat.length / 4);
    for (let i = 0, k = 0; i < iou.length; i++, k += 4) {
      const w = Math.min(x2, flat[k + 2]) - Math.max(x1, flat[k]);
      const h = Math.min(y2, flat[k + 3]) - Math.max(y1, flat[k + 1]);
      if (!(w > 0 && h > 0)) continue;
      const inter = w * h;
      iou[i] = inter / (own + (flat[k + 2] - flat[k]) * (flat[k + 3] - flat[k + 1]) - inter);
    }
    return iou;
  }

  /**
   * The label of each anchor against the ground truths, and of each ground truth its best anchor, the first of equals,
   * and their IoU. With `best`, the best anchors are objects, whatever their IoU, as long as they touch.
   */
  function match(flat, truths, { low = 0.3, high = 0.7, best = true } = {}) {
    const highest = new Float64Array(flat.length / 4);
    const bests = truths.map((truth) => {
      const iou = overlaps(truth, flat);
      let index = 0;
      for (let i = 0; i < iou.length; i++) {
        if (iou[i] > iou[index]) index = i;
        if (iou[i] > highest[i]) highest[i] = iou[i];
      }
      return { index, iou: iou[index] };
    });
    const labels = Int8Array.from(highest, (iou) => (iou >= high ? 1 : iou < low ? 0 : -1));
    if (best) for (const { index, iou } of bests) if (iou > 0) labels[index] = 1;
    return { labels, bests };
  }

  /** How many are objects, ignored and background. */
  function counts(labels) {
    const count = { objects: 0, ignored: 0, background: 0 };
    for (const label of labels) count[label > 0 ? "objects" : label < 0 ? "ignored" : "background"]++;
    return count;
  }

  return { ofLevel, ofPyramid, match, counts };
})();

if (typeof module !== "undefined") module.exports = Anchors;
