"use strict";

/* Precision, recall and average precision of a ranked list: `right` says of each detection whether it is. */
const AveragePrecision = (() => {
  const sum = (values) => values.reduce((total, value) => total + value, 0);

  /** Precision and recall after each detection; recall is 0 where no defect is to be found. */
  function curve(right, defects) {
    let found = 0;
    const points = right.map((is, k) => {
      found += is ? 1 : 0;
      return { found, precision: found / (k + 1), recall: found / Math.max(defects, 1) };
    });
    return points;
  }

  /** At each point the highest precision there or at a later one. */
  function envelope(points) {
    let highest = 0;
    return points.map((point) => point.precision).reverse().map((value) => (highest = Math.max(highest, value))).reverse();
  }

  /** The area under the envelope. */
  function area(points) {
    const height = envelope(points);
    return sum(points.map((point, k) => (point.recall - (k ? points[k - 1].recall : 0)) * height[k]));
  }

  /** The height of the envelope at the recalls 0, 0.1, ..., 1; 0 where no point reaches them. */
  function elevenHeights(points) {
    const height = envelope(points);
    return Array.from({ length: 11 }, (_, i) => height[points.findIndex((point) => point.recall >= i / 10)] ?? 0);
  }

  const elevenPoints = (points) => sum(elevenHeights(points)) / 11;

  return { curve, envelope, area, elevenHeights, elevenPoints };
})();

if (typeof module !== "undefined") module.exports = AveragePrecision;
