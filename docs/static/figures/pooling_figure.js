"use strict";

/* A proposal to drag over the running image: its level, its cells and bins there, and the maximum of each bin. */
Stage.mount("pooling", (place) => {
  const { html, svg, set, rect } = Stage;
  const BINS = 7;
  const [HEIGHT, WIDTH] = FIGURE_DATA.size;
  const VIEW = [0, 0, 400, 300]; // of the cells
  const BRACKET = 6; // pixels of the screen between brackets side by side
  const LEVEL_COLOURS = { 2: "blue", 3: "green", 4: "orange", 5: "red" };
  const maps = Object.fromEntries(Object.entries(FEATURE_MAPS).map(([level, text]) => [level, decoded(text)]));
  const pictures = {};
  let proposal = FIGURE_DATA.truths[2].slice();
  let chosen = [0, 0]; // row and column of the bin that is shown
  let dark = true; // the feature: darkness, else brightness
  let now = pooled();

  const tools = html(place, "div", { class: "tools" });
  FIGURE_DATA.truths.forEach((box, i) => Stage.button(tools, FIGURE_DATA.names[i], () => change(box.slice())));
  const feature = Stage.button(tools, "", () => {
    dark = !dark;
    refresh();
  });
  const image = Stage.canvas(place, [0, 0, WIDTH, HEIGHT], "a proposal on the running image", drawImage);
  svg(image.node, "image", { href: Stage.address("running.jpg"), width: WIDTH, height: HEIGHT });
  const drawBox = Stage.box(image, image.node, {
    name: "proposal", rule: () => ({ bounds: [0, 0, WIDTH, HEIGHT], step: 1 }), get: () => proposal, change,
  });
  const result = html(place, "p", { class: "result", "aria-live": "polite" });
  const corners = html(place, "p");
  const pair = html(place, "div", { class: "pair" });
  const cells = Stage.canvas(pair, VIEW, "the cells of the proposal and its bins", drawCells);
  const grid = Stage.canvas(pair, [0, 0, BINS, BINS], "the maxima of the bins; arrow keys choose a bin", drawGrid);
  set(grid.node, { tabindex: 0 });
  grid.node.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!way) return;
    event.preventDefault();
    choose(chosen.map((value, k) => Drag.clamp(value + way[k], 0, BINS - 1)));
  });
  const bin = html(place, "p", { "aria-live": "polite" });
  html(place, "p", { class: "hint" }, "Drag the proposal or a corner; keys: Tab to it, arrows move it, Shift and arrows " +
    "resize it. Press one of the maxima to see its bin. Dashed: the box before its corners are rounded.");
  change(proposal);

  /** The bytes of a map in 0..1. */
  function decoded(text) {
    return Float64Array.from(atob(text), (byte) => byte.charCodeAt(0) / 255);
  }

  function change(box) {
    proposal = box;
    refresh();
  }

  function choose(to) {
    chosen = to;
    refresh();
  }

  /** All that follows from the proposal. */
  function pooled() {
    const level = Pooling.levelOf(proposal);
    const stride = 2 ** level;
    const size = [HEIGHT / stride, WIDTH / stride];
    const edges = Pooling.binEdges(proposal, stride, size, BINS);
    return { level, stride, size, edges, maxima: Pooling.maxima(maps[level].map(asFeature), size[1], edges) };
  }

  /** The feature of a darkness, and the darkness of a feature. */
  function asFeature(value) {
    return dark ? value : 1 - value;
  }

  function refresh() {
    feature.textContent = `feature: ${dark ? "darkness" : "brightness"}`;
    now = pooled();
    const { level, stride, size, edges, maxima } = now;
    const [width, height] = [proposal[2] - proposal[0], proposal[3] - proposal[1]];
    const rounded = Pooling.cornersOf(proposal, stride);
    result.textContent = `P${level}, stride ${stride}: ${width} × ${height} pixels, ` +
      `√(wh) = ${Math.sqrt(width * height).toFixed(1)}`;
    corners.textContent = `Corners: ${proposal.join(", ")} → ${proposal.map((value) => value / stride).join(", ")} ` +
      `→ cells ${rounded.join(", ")}: ${rounded[2] - rounded[0] + 1} × ${rounded[3] - rounded[1] + 1} cells`;
    const [row, column] = chosen;
    const { cell, value } = maxima[row][column];
    const range = ([first, past]) => (past > first ? `${first}..${past - 1}` : "none");
    bin.textContent = `Bin of row ${row}, column ${column}: cell rows ${range(edges.y[row])}, columns ` +
      `${range(edges.x[column])}` + (cell < 0 ? "; it holds no cell: 0"
        : `; maximum ${value.toFixed(2)} at (${Math.floor(cell / size[1])}, ${cell % size[1]})`);
    for (const stage of [image, cells, grid]) stage.redraw();
  }

  function drawImage(unit) {
    drawBox(unit);
    image.node.style.setProperty("--box", `var(--${LEVEL_COLOURS[now.level]})`);
  }

  /** A level as a picture with a pixel for each cell. */
  function picture(level, [height, width]) {
    if (!pictures[level]) {
      const canvas = Object.assign(document.createElement("canvas"), { width, height });
      const context = canvas.getContext("2d");
      const pixels = context.createImageData(width, height);
      maps[level].forEach((value, i) => pixels.data.set([...Array(3).fill(255 * (1 - value)), 255], 4 * i));
      context.putImageData(pixels, 0, 0);
      pictures[level] = canvas.toDataURL();
    }
    return pictures[level];
  }

  function drawCells(unit) {
    const { level, stride, size, edges, maxima } = now;
    const [left, top] = [edges.x[0][0], edges.y[0][0]];
    const [right, bottom] = [edges.x[BINS - 1][1], edges.y[BINS - 1][1]];
    const tracks = (count) => (count < BINS ? BINS : 2); // brackets side by side until they no longer overlap
    const [across, down] = [tracks(right - left), tracks(bottom - top)];
    const [x0, y0] = [(BRACKET * (down + 1) + 4) * unit, (BRACKET * (across + 1) + 4) * unit];
    const margin = 12 * unit;
    const scale = (room, count) => room / Math.max(count, 1);
    let [sx, sy] = [scale(VIEW[2] - x0 - margin, right - left), scale(VIEW[3] - y0 - margin, bottom - top)];
    [sx, sy] = [Math.min(sx, 16 * sy), Math.min(sy, 16 * sx)]; // thin proposals are stretched
    const [x, y] = [(cell) => x0 + (cell - left) * sx, (cell) => y0 + (cell - top) * sy];
    const node = cells.node;
    node.replaceChildren();
    const inner = svg(node, "svg", { x: x0 - margin, y: y0 - margin,
      width: (right - left) * sx + 2 * margin, height: (bottom - top) * sy + 2 * margin });
    svg(inner, "image", { href: picture(level, size), x: margin - left * sx, y: margin - top * sy,
      width: size[1] * sx, height: size[0] * sy, preserveAspectRatio: "none", class: "pixels" });
    svg(node, "rect", { class: "region", ...rect([x(left), y(top), x(right), y(bottom)]) });
    const real = proposal.map((value) => value / stride + 0.5); // a cell's middle lies at a whole number
    svg(node, "rect", { class: "real", ...rect([x(real[0]), y(real[1]), x(real[2]), y(real[3])]) });
    for (let i = 0; i < BINS; i++) {
      const [a, b] = [y0 - BRACKET * (1 + (i % across)) * unit, x0 - BRACKET * (1 + (i % down)) * unit];
      const mark = (is) => (is ? "bracket chosen" : "bracket");
      svg(node, "line", { class: mark(i === chosen[1]), x1: x(edges.x[i][0]) + unit, x2: x(edges.x[i][1]) - unit, y1: a, y2: a });
      svg(node, "line", { class: mark(i === chosen[0]), y1: y(edges.y[i][0]) + unit, y2: y(edges.y[i][1]) - unit, x1: b, x2: b });
    }
    const [[l, r], [t, b]] = [edges.x[chosen[1]], edges.y[chosen[0]]];
    svg(node, "rect", { class: "bin", ...rect([x(l), y(t), x(r), y(b)]) });
    maxima.forEach((line, row) => line.forEach(({ cell }, column) => {
      if (cell < 0) return;
      const shown = row === chosen[0] && column === chosen[1];
      const [cx, cy] = [x((cell % size[1]) + 0.5), y(Math.floor(cell / size[1]) + 0.5)];
      svg(node, "circle", { class: shown ? "maximum chosen" : "maximum", cx, cy, r: (shown ? 5 : 3) * unit });
    }));
  }

  function drawGrid(unit) {
    const { maxima } = now;
    const node = grid.node;
    node.replaceChildren();
    maxima.forEach((line, row) => line.forEach(({ value }, column) => {
      const shade = 255 * (1 - asFeature(value));
      const square = svg(node, "g", { class: "square" });
      svg(square, "rect", { x: column, y: row, width: 1, height: 1, fill: `rgb(${shade} ${shade} ${shade})` });
      const ink = asFeature(value) > 0.5 ? "white" : "black";
      const words = { x: column + 0.5, y: row + 0.5 + 4.5 * unit, "font-size": 12 * unit, style: `fill: ${ink}` };
      svg(square, "text", { ...words, "text-anchor": "middle" }, (100 * value).toFixed(0));
      square.addEventListener("pointerdown", () => choose([row, column]));
    }));
    svg(node, "rect", { class: "bin", x: chosen[1], y: chosen[0], width: 1, height: 1 });
  }
});
