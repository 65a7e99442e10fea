"use strict";

/* Non-maximum suppression step by step: what is kept, what is out, and an arrow from each box to its suppressor. */
Stage.mount("nms", (place) => {
  const { html, svg } = Stage;
  let [threshold, step] = [0.7, 1];

  const tools = html(place, "div", { class: "tools" });
  const scenes = [
    makeScene("four boxes of the text", FIGURE_DATA.chain, {
      view: [-45, -12, 190, 152], bounds: [-45, 0, 190, 50], lift: 30, start: 0.7,
    }),
    makeScene("boxes around the crater", FIGURE_DATA.crater, {
      view: [340, 500, 620, 704], bounds: [340, 500, 620, 704], start: 0.3, photograph: true,
    }),
  ];
  let scene = scenes[0];
  const sliders = html(place, "div", { class: "tools" });
  const range = { min: 0, max: 1, step: 0.01, value: threshold, show: (value) => value.toFixed(2) };
  const putThreshold = Stage.slider(sliders, "threshold", range, (value) => {
    threshold = value;
    redraw();
  });
  const putStep = Stage.slider(sliders, "step", { min: 0, max: 9, step: 1, value: step }, go);
  const buttons = html(place, "div", { class: "tools" });
  const [back, next] = [["back", -1], ["next", 1]].map(([name, by]) => Stage.button(buttons, name, () => go(step + by)));
  Stage.button(buttons, "to the end", () => go(Infinity));
  const story = html(place, "p", { class: "result", "aria-live": "polite" });
  const summary = html(place, "p");
  html(place, "p", { class: "hint" }, "Blue is kept, red and dashed is out, grey is still to come. Drag the boxes too; " +
    "keys: Tab to a box, arrows move it.");
  choose(scene);

  function makeScene(title, { boxes, scores }, { view, bounds, start, lift = 0, photograph = false }) {
    const panel = html(place, "div", { hidden: "" });
    const own = { boxes: boxes.map((box) => box.slice()), scores, start, panel, drawn: [] };
    own.button = Stage.button(tools, title, () => choose(own));
    own.stage = Stage.canvas(panel, view, title, (unit) => draw(own, unit));
    if (photograph) svg(own.stage.node, "image", { href: Stage.address("running.jpg"), width: 1280, height: 960 });
    const rule = () => ({ bounds, step: 1 });
    own.drawn = own.boxes.map((_, i) => Stage.box(own.stage, own.stage.node, {
      name: photograph ? letter(i) : `${letter(i)} ${scores[i].toFixed(2)}`, rule, fixed: true, lift: lift * i, get: () => own.boxes[i],
      change: (box) => {
        own.boxes[i] = box;
        redraw();
      },
    }));
    own.arrows = svg(own.stage.node, "g", { class: "arrows" });
    return own;
  }

  function letter(index) {
    return String.fromCharCode(65 + index);
  }

  function choose(chosen) {
    [scene, threshold] = [chosen, chosen.start];
    putThreshold(threshold);
    for (const other of scenes) {
      other.panel.hidden = other !== scene;
      other.button.setAttribute("aria-pressed", other === scene);
    }
    go(1);
  }

  function go(to) {
    step = to;
    redraw();
  }

  function redraw() {
    const steps = Nms.steps(scene.boxes, scene.scores, threshold);
    step = Drag.clamp(step, 0, steps.length);
    putStep(step, steps.length);
    back.disabled = step === 0;
    next.disabled = step === steps.length;
    scene.stage.redraw();
    const names = (indices) => indices.map(letter).join(", ");
    const now = steps[step - 1];
    const out = now && now.suppressed.map(({ index, iou }) => `${letter(index)} (${iou.toFixed(2)})`).join(", ");
    story.textContent = !now ? `By score: ${Nms.ranked(scene.scores).map((i) => `${letter(i)} ${scene.scores[i].toFixed(2)}`).join(", ")}.`
      : `${letter(now.kept)} is the best of the rest: kept. It strikes out ${out || "none"}.`;
    const kept = names(steps.map(({ kept }) => kept));
    summary.textContent = `At threshold ${threshold.toFixed(2)}, ${steps.length} of ${scene.boxes.length} are kept: ${kept}.`;
  }

  function draw(own, unit) {
    const steps = Nms.steps(own.boxes, own.scores, threshold).slice(0, step);
    const state = own.boxes.map(() => "waiting");
    const suppressor = new Map();
    for (const { kept, suppressed } of steps) {
      state[kept] = "kept";
      for (const { index } of suppressed) {
        state[index] = "out";
        suppressor.set(index, kept);
      }
    }
    const corner = (i) => (own.drawn.length > 4 ? [0, 1, 2, 3, 3, 0, 1][i] : 0); // where the names are apart
    const tags = own.drawn.map((box, i) => box(unit, { corner: corner(i), state: state[i] }));
    own.arrows.replaceChildren();
    for (const [from, to] of suppressor) arrow(own.arrows, tags[from], tags[to], unit);
  }

  /** An arrow between two names, short of both. */
  function arrow(parent, [x1, y1], [x2, y2], unit) {
    const length = Math.hypot(x2 - x1, y2 - y1) || 1;
    const [dx, dy] = [(x2 - x1) / length, (y2 - y1) / length];
    const short = Math.min(length / 3, 16 * unit);
    const [tx, ty] = [x2 - dx * short, y2 - dy * short];
    const at = (along, aside) => `${tx - (dx * along - dy * aside) * unit} ${ty - (dy * along + dx * aside) * unit}`;
    svg(parent, "path", { d: `M ${x1 + dx * short} ${y1 + dy * short} L ${at(8, 0)}`, class: "shaft" });
    svg(parent, "path", { d: `M ${tx} ${ty} L ${at(11, 5)} L ${at(11, -5)} Z`, class: "head" });
  }
});
