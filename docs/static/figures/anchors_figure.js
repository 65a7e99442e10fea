"use strict";

/* Ground truths to drag over the running image, and the anchors of one kind: objects, ignored or background. */
Stage.mount("anchors", (place) => {
  const { html, svg, set, rect } = Stage;
  const [HEIGHT, WIDTH] = FIGURE_DATA.size;
  const MOST_OUTLINES = 40;
  const pyramid = Anchors.ofPyramid([HEIGHT, WIDTH]);
  const truths = FIGURE_DATA.truths.map((box) => box.slice());
  const kind = { level: 4, side: 128, log: -1, best: true };

  const sliders = html(place, "div", { class: "tools" });
  Stage.slider(sliders, "level", { min: 2, max: 6, step: 1, value: kind.level, show: (level) => `P${level}` }, (level) => {
    putSide(8 * 2 ** level);
    change({ level, side: 8 * 2 ** level });
  });
  const sides = { min: 16, max: 640, step: 4, value: kind.side, show: (side) => `${side}²` };
  const putSide = Stage.slider(sliders, "area", sides, (side) => change({ side }));
  const logs = { min: -5, max: 5, step: 0.5, value: kind.log, show: (log) => ratioText(2 ** log) };
  Stage.slider(sliders, "height : width", logs, (log) => change({ log }));
  const tools = html(place, "div", { class: "tools" });
  const rule = Stage.button(tools, "best anchors are objects", () => change({ best: !kind.best }));
  Stage.button(tools, "boxes back", () => {
    FIGURE_DATA.truths.forEach((box, i) => (truths[i] = box.slice()));
    change({});
  });

  const stage = Stage.canvas(place, [0, 0, WIDTH, HEIGHT], "ground truths and anchors on the running image", draw);
  svg(stage.node, "image", { href: Stage.address("running.jpg"), width: WIDTH, height: HEIGHT });
  const cells = ["background", "ignored", "object"].map((name) => svg(stage.node, "path", { class: `cell ${name}` }));
  const outlines = svg(stage.node, "g", { class: "outlines" });
  const limits = () => ({ bounds: [0, 0, WIDTH, HEIGHT], step: 1, least: 4 });
  const boxes = truths.map((_, i) => Stage.box(stage, stage.node, {
    name: FIGURE_DATA.names[i], colour: "green", rule: limits, get: () => truths[i],
    change: (box) => {
      truths[i] = box;
      change({});
    },
  }));
  const result = html(place, "p", { class: "result", "aria-live": "polite" });
  const best = html(place, "p");
  const all = html(place, "p");
  html(place, "p", { class: "hint" }, "A cell of the level is blue where its anchor is an object, yellow where it is " +
    "ignored, red where it is background. Blue boxes are objects. Drag a ground truth or a corner; keys: Tab to it, " +
    "arrows move it, Shift and arrows resize it.");
  change({});

  function ratioText(ratio) {
    return ratio >= 1 ? `${Number(ratio.toFixed(1))} : 1` : `1 : ${Number((1 / ratio).toFixed(1))}`;
  }

  function change(some) {
    Object.assign(kind, some);
    rule.setAttribute("aria-pressed", kind.best);
    stage.redraw();
    const { labels, bests } = Anchors.match(ofKind(), truths, kind);
    result.textContent = `Of this kind: ${countText(labels)}`;
    best.textContent = "Highest IoU: " +
      bests.map(({ iou }, i) => `${FIGURE_DATA.names[i]} ${iou.toFixed(3)}`).join(", ");
    all.textContent = `Of the network's fifteen kinds: ${countText(Anchors.match(pyramid, truths, kind).labels)}`;
  }

  function countText(labels) {
    const { objects, ignored, background } = Anchors.counts(labels);
    return `${objects} objects, ${ignored} ignored, ${background.toLocaleString("en")} background`;
  }

  function ofKind() {
    return Anchors.ofLevel([HEIGHT, WIDTH], 2 ** kind.level, kind.side ** 2, [2 ** kind.log]);
  }

  function draw(unit) {
    const flat = ofKind();
    const { labels } = Anchors.match(flat, truths, kind);
    const stride = 2 ** kind.level;
    const columns = Math.ceil(WIDTH / stride);
    const squares = [`M 0 0 H ${WIDTH} V ${HEIGHT} H 0 Z`, "", ""];
    outlines.replaceChildren();
    for (let i = 0; i < labels.length; i++) {
      if (labels[i] === 0) continue;
      const [x, y] = [(i % columns) * stride - stride / 2, Math.floor(i / columns) * stride - stride / 2];
      squares[labels[i] > 0 ? 2 : 1] += `M ${x} ${y} h ${stride} v ${stride} h ${-stride} Z`;
      const box = flat.slice(4 * i, 4 * i + 4);
      if (labels[i] > 0 && outlines.children.length < MOST_OUTLINES) svg(outlines, "rect", rect(box));
    }
    squares.forEach((d, k) => set(cells[k], { d }));
    for (const box of boxes) box(unit);
  }
});
