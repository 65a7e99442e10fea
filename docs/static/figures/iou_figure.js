"use strict";

/* Two boxes on squared paper: their IoU, and the areas that it is made of. */
Stage.mount("iou", (place) => {
  const { html, svg, set, rect } = Stage;
  const [WIDTH, HEIGHT] = [16, 9];
  const EXAMPLES = [
    ["half along x", [2, 2, 6, 6], [4, 2, 8, 6]],
    ["half along x and y", [2, 2, 6, 6], [4, 4, 8, 8]],
    ["one is half of the other", [2, 2, 6, 6], [2, 2, 6, 4]],
    ["thin, a third too low", [1, 3, 15, 6], [1, 4, 15, 7]],
  ];
  const boxes = { a: EXAMPLES[0][1], b: EXAMPLES[0][2] };
  const rule = () => ({ bounds: [0, 0, WIDTH, HEIGHT], step: 1 });

  const tools = html(place, "div", { class: "tools" });
  for (const [name, a, b] of EXAMPLES) Stage.button(tools, name, () => change({ a, b }));
  const stage = Stage.canvas(place, [0, 0, WIDTH, HEIGHT], "two boxes on squared paper", draw);
  svg(stage.node, "rect", { class: "paper", width: WIDTH, height: HEIGHT });
  for (let x = 1; x < WIDTH; x++) svg(stage.node, "line", { class: "line", x1: x, x2: x, y2: HEIGHT });
  for (let y = 1; y < HEIGHT; y++) svg(stage.node, "line", { class: "line", y1: y, y2: y, x2: WIDTH });
  const shared = svg(stage.node, "rect", { class: "shared" });
  const drawn = [["a", "blue"], ["b", "orange"]].map(([name, colour]) => {
    return Stage.box(stage, stage.node, {
      name, colour, rule, get: () => boxes[name], change: (box) => change({ [name]: box }),
    });
  });
  const bar = Stage.canvas(place, [0, 0, 1, 0.035], "the union in parts: only in a, in both, only in b", drawBar);
  const parts = ["blue", "both", "orange"].map((name) => svg(bar.node, "rect", { class: `part ${name}`, height: 0.035 }));
  const areas = html(place, "p");
  const result = html(place, "p", { class: "result", "aria-live": "polite" });
  html(place, "p", { class: "hint" }, "Drag a box or a corner. Keys: Tab to a box, arrows move it, Shift and arrows resize it.");

  function change(some) {
    Object.assign(boxes, some);
    stage.redraw();
    bar.redraw();
  }

  function draw(unit) {
    const { a, b } = boxes;
    set(shared, rect(Iou.shared(a, b)));
    for (const box of drawn) box(unit);
    const [own, other, inter, union] = [Iou.area(a), Iou.area(b), Iou.intersection(a, b), Iou.union(a, b)];
    const product = ([x1, y1, x2, y2]) => `${x2 - x1} × ${y2 - y1}`;
    const both = inter > 0 ? `${product(Iou.shared(a, b))} = ${inter}` : "0";
    areas.textContent = `|a| = ${product(a)} = ${own}, |b| = ${product(b)} = ${other}, shared: ${both}, ` +
      `union: ${own} + ${other} − ${inter} = ${union}`;
    const fraction = union > 0 ? `${inter} / ${union} = ` : "";
    result.textContent = `IoU = ${fraction}${Iou.iou(a, b).toFixed(3)}`;
  }

  function drawBar() {
    const { a, b } = boxes;
    const [inter, union] = [Iou.intersection(a, b), Iou.union(a, b) || 1];
    let x = 0;
    [Iou.area(a) - inter, inter, Iou.area(b) - inter].forEach((area, k) => {
      set(parts[k], { x, width: area / union });
      x += area / union;
    });
  }
});
