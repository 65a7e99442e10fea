"use strict";

/* A proposal's level, its cells, its bins and the maximum of each, of one channel. */
const Pooling = (() => {
  const BOUNDS = [112, 224, 448]; // sides of the squares with which P3, P4 and P5 begin

  /** The level 2..5 of a box (equation 2, without a logarithm). */
  function levelOf([x1, y1, x2, y2]) {
    const area = Math.max(x2 - x1, 0) * Math.max(y2 - y1, 0);
    return 2 + BOUNDS.filter((side) => area >= side * side).length;
  }

  /** The nearest whole number, halves away from zero. */
  function roundHalfAway(x) {
    const whole = Math.trunc(x);
    return whole + (Math.abs(x - whole) >= 0.5 ? Math.sign(x) : 0);
  }

  /** The cells of a box's corners on a map of that stride. */
  const cornersOf = (box, stride) => box.map((value) => roundHalfAway(value / stride));

  function edgesOf(start, stop, cells, bins, inverted) {
    const width = (stop - start + 1) / bins;
    const inside = (cell) => Math.min(Math.max(cell, 0), cells);
    return Array.from({ length: bins }, (_, i) => {
      const begin = start + Math.floor(i * width);
      return [inside(begin), inside(inverted ? begin : start + Math.ceil((i + 1) * width))];
    });
  }

  /** First and one past the last cell of each bin, along x and y, on a map of [height, width] cells. */
  function binEdges(box, stride, [height, width], bins) {
    const [x1, y1, x2, y2] = cornersOf(box, stride);
    const inverted = box[2] < box[0] || box[3] < box[1];
    return { x: edgesOf(x1, x2, width, bins, inverted), y: edgesOf(y1, y2, height, bins, inverted) };
  }

  /** The maximum of each bin, row by row: its value and its cell, y * width + x; of equal ones the first, -1 for none. */
  function maxima(map, width, { x, y }) {
    return y.map(([top, bottom]) => x.map(([left, right]) => {
      let best = { cell: -1, value: 0 };
      for (let row = top; row < bottom; row++) {
        for (let cell = row * width + left; cell < row * width + right; cell++) {
          if (best.cell < 0 || map[cell] > best.value) best = { cell, value: map[cell] };
        }
      }
      return best;
    }));
  }

  return { levelOf, roundHalfAway, cornersOf, binEdges, maxima };
})();

if (typeof module !== "undefined") module.exports = Pooling;
