"use strict";

/* Area and overlap of boxes [x1, y1, x2, y2]; an empty or inverted box has area 0. */
const Iou = (() => {
  const area = ([x1, y1, x2, y2]) => Math.max(x2 - x1, 0) * Math.max(y2 - y1, 0);

  /** The box that two boxes share; inverted where they miss each other. */
  const shared = (a, b) => [
    Math.max(a[0], b[0]),
    Math.max(a[1], b[1]),
    Math.min(a[2], b[2]),
    Math.min(a[3], b[3]),
  ];

  const intersection = (a, b) => area(shared(a, b));
  const union = (a, b) => area(a) + area(b) - intersection(a, b);

  /** Intersection over union, 0 where there is no union. */
  function iou(a, b) {
    const whole = union(a, b);
    return whole > 0 ? intersection(a, b) / whole : 0;
  }

  return { area, shared, intersection, union, iou };
})();

if (typeof module !== "undefined") module.exports = Iou;
