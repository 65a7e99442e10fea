"use strict";

/* Precision and recall of a ranked list whose detections can be flipped and swapped; both average precisions follow. */
Stage.mount("average_precision", (place) => {
  const { html, svg } = Stage;
  const [LEFT, TOP, WIDTH, HEIGHT] = [40, 26, 380, 190]; // of the plot
  const MOST = 12;
  let list = FIGURE_DATA.right.map((right, i) => ({ name: String(i + 1), right }));
  let [wanted, defects] = [FIGURE_DATA.defects, FIGURE_DATA.defects];
  let before = null;

  const cards = html(place, "div", { class: "tools cards", role: "group", "aria-label": "detections, the surest first" });
  const tools = html(place, "div", { class: "tools" });
  Stage.button(tools, "add a false alarm", () => change([...list, { name: String(list.length + 1), right: false }]));
  const drop = Stage.button(tools, "drop the last", () => change(list.slice(0, -1)));
  const fewer = Stage.button(tools, "−", () => change(list, defects - 1), { "aria-label": "one defect less" });
  const count = html(tools, "span");
  const more = Stage.button(tools, "+", () => change(list, defects + 1), { "aria-label": "one defect more" });
  const view = [0, 0, LEFT + WIDTH + 24, TOP + HEIGHT + 46];
  const stage = Stage.canvas(place, view, "precision over recall", draw);
  const result = html(place, "p", { class: "result", "aria-live": "polite" });
  const sums = html(place, "p");
  html(place, "p", { class: "hint" }, "Press a detection to make it right or wrong. Drag it, or use the arrow keys on it, " +
    "to change its rank.");
  change(list);

  function change(to, number = wanted) {
    [list, wanted] = [to, number];
    defects = Math.max(wanted, list.filter(({ right }) => right).length); // each right one finds a defect of its own
    const points = AveragePrecision.curve(list.map(({ right }) => right), defects);
    const now = [AveragePrecision.area(points), AveragePrecision.elevenPoints(points)];
    const moved = (k) => (before && now[k] !== before[k] ? ` (was ${before[k].toFixed(3)})` : "");
    result.textContent = `AP: area ${now[0].toFixed(3)}${moved(0)}, eleven points ${now[1].toFixed(3)}${moved(1)}`;
    before = now;
    const height = AveragePrecision.envelope(points);
    const steps = points.flatMap(({ found }, k) => (list[k].right ? [`1/${defects} · ${height[k].toFixed(3)}`] : []));
    sums.textContent = `area = ${steps.join(" + ") || "0"}`;
    count.textContent = `defects to find: ${defects}`;
    drop.disabled = list.length <= 1;
    tools.firstChild.disabled = list.length >= MOST;
    fewer.disabled = defects <= Math.max(1, points.at(-1).found);
    more.disabled = defects >= MOST;
    showCards();
    stage.redraw();
  }

  function showCards() {
    while (cards.children.length > list.length) cards.lastChild.remove();
    while (cards.children.length < list.length) addCard(cards.children.length);
    list.forEach(({ name, right }, k) => {
      const word = right ? "right" : "wrong";
      Stage.set(cards.children[k], { "data-state": word, "aria-label": `rank ${k + 1}: detection ${name}, ${word}` });
      cards.children[k].textContent = `${name} ${right ? "✓" : "✗"}`;
    });
  }

  function swap(from, to) {
    if (to < 0 || to >= list.length) return;
    const after = list.slice();
    after.splice(to, 0, ...after.splice(from, 1));
    change(after);
    cards.children[to].focus();
  }

  /** The card of a rank: a press flips what lies there, a drag takes it to another rank. */
  function addCard(rank) {
    let held = null;
    const flip = () => change(list.map((one, k) => (k === rank ? { ...one, right: !one.right } : one)));
    const card = Stage.button(cards, "", (event) => {
      if (event.detail === 0 || !held || !held.dragged) flip(); // a drag ends with a click too, a key's has no detail
    });
    card.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
      if (!by) return;
      event.preventDefault();
      swap(rank, rank + by);
    });
    card.addEventListener("pointerdown", (event) => {
      held = { rank, down: true, dragged: false };
      card.setPointerCapture(event.pointerId);
    });
    card.addEventListener("pointermove", (event) => {
      if (!held || !held.down) return;
      const over = document.elementFromPoint(event.clientX, event.clientY);
      const to = [...cards.children].indexOf(over);
      if (to < 0 || to === held.rank) return;
      swap(held.rank, to);
      Object.assign(held, { rank: to, dragged: true });
    });
    for (const end of ["pointerup", "pointercancel"]) card.addEventListener(end, () => held && (held.down = false));
  }

  function draw(unit) {
    const points = AveragePrecision.curve(list.map(({ right }) => right), defects);
    const height = AveragePrecision.envelope(points);
    const x = (recall) => LEFT + recall * WIDTH;
    const y = (precision) => TOP + (1 - precision) * HEIGHT;
    const size = 12 * unit;
    const plot = stage.node;
    plot.replaceChildren();
    svg(plot, "rect", { class: "paper", x: LEFT, y: TOP, width: WIDTH, height: HEIGHT });
    for (let i = 0; i <= 10; i += 2) {
      svg(plot, "line", { class: "line", x1: LEFT, x2: x(1), y1: y(i / 10), y2: y(i / 10) });
      svg(plot, "text", { x: LEFT - 5, y: y(i / 10) + size / 3, "text-anchor": "end", "font-size": size }, i / 10);
      svg(plot, "text", { x: x(i / 10), y: y(0) + 1.3 * size, "text-anchor": "middle", "font-size": size }, i / 10);
    }
    const label = { "font-size": size, "text-anchor": "end" };
    svg(plot, "text", { ...label, x: x(1), y: y(0) + 2.5 * size }, "precision over recall");

    const steps = points.map(({ recall }, k) => `V ${y(height[k])} H ${x(recall)}`).join(" ");
    svg(plot, "path", { class: "area", d: `M ${x(0)} ${y(0)} ${steps} V ${y(0)} Z` });
    svg(plot, "path", { class: "envelope", d: `M ${x(0)} ${y(height[0])} ${steps}` });
    const saw = points.map(({ recall, precision }) => `${x(recall)} ${y(precision)}`).join(" L ");
    svg(plot, "path", { class: "saw", d: `M ${saw}` });
    AveragePrecision.elevenHeights(points).forEach((value, i) => {
      const tick = { x1: x(i / 10), x2: x(i / 10), y1: y(value) - 6 * unit, y2: y(value) + 6 * unit };
      svg(plot, "line", { class: "tick", ...tick });
    });
    points.forEach(({ recall, precision }, k) => {
      const [cx, cy] = [x(recall), y(precision)];
      svg(plot, "circle", { class: list[k].right ? "right" : "wrong", cx, cy, r: 4.5 * unit });
      svg(plot, "text", { x: cx + 7 * unit, y: cy - 5 * unit, "font-size": size }, list[k].name);
    });
  }
});
