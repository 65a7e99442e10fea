"use strict";

/* Where a box [x1, y1, x2, y2] goes that is moved or resized: inside `bounds`, on multiples of `step`. */
const Drag = (() => {
  const CORNERS = [[0, 1], [2, 1], [2, 3], [0, 3]]; // which x and which y belong to each

  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const snap = (value, step) => Math.round(value / step) * step;

  /** The box, shifted; its size stays. */
  function moved([x1, y1, x2, y2], dx, dy, { bounds, step }) {
    const x = clamp(snap(x1 + dx, step), bounds[0], bounds[2] - (x2 - x1));
    const y = clamp(snap(y1 + dy, step), bounds[1], bounds[3] - (y2 - y1));
    return [x, y, x + (x2 - x1), y + (y2 - y1)];
  }

  /** The box with one of its corners shifted; no side gets shorter than `least`. */
  function resized(box, corner, dx, dy, { bounds, step, least = 0 }) {
    const [i, j] = CORNERS[corner];
    const after = box.slice();
    for (const [k, delta] of [[i, dx], [j, dy]]) {
      const value = snap(box[k] + delta, step);
      after[k] = k < 2 ? clamp(value, bounds[k], box[k + 2] - least) : clamp(value, box[k - 2] + least, bounds[k]);
    }
    return after;
  }

  return { CORNERS, clamp, moved, resized };
})();

if (typeof module !== "undefined") module.exports = Drag;
