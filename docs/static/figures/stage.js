"use strict";

/* What the interactive figures share: a place on the page, a canvas, boxes to drag, sliders, buttons. */
const Stage = (() => {
  const FOLDER = document.currentScript.src.replace(/[^/]*$/, "");
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  /** Builds a figure wherever the page asks for it; the still picture that follows goes once the figure stands. */
  function mount(name, build) {
    for (const place of document.querySelectorAll(`[data-figure="${name}"]`)) {
      build(place);
      const still = place.nextElementSibling;
      if (still && still.querySelector("img")) still.hidden = true;
    }
  }

  /** The address of a file beside the scripts. */
  const address = (file) => FOLDER + file;

  function set(node, attributes) {
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  }

  function html(parent, tag, attributes = {}, text = "") {
    const node = set(document.createElement(tag), attributes);
    node.textContent = text;
    return parent.appendChild(node);
  }

  function svg(parent, tag, attributes = {}, text = "") {
    const node = set(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes);
    node.textContent = text;
    return parent.appendChild(node);
  }

  /** The attributes of a rect, an inverted box being none. */
  const rect = ([x1, y1, x2, y2]) => ({ x: x1, y: y1, width: Math.max(x2 - x1, 0), height: Math.max(y2 - y1, 0) });

  /**
   * A drawing in the coordinates of `view`, as wide as the page. `draw(unit)` runs at each change of its width and
   * whenever `redraw` is called; `unit` is one pixel of the screen, so that letters and handles keep their size.
   */
  function canvas(parent, view, label, draw) {
    const [x1, y1, x2, y2] = view;
    const viewBox = [x1, y1, x2 - x1, y2 - y1].join(" ");
    const node = svg(parent, "svg", { viewBox, class: "stage", role: "group", "aria-label": label });
    const unit = () => (x2 - x1) / Math.max(node.getBoundingClientRect().width, 1);
    const redraw = () => draw(unit());
    new ResizeObserver(redraw).observe(node);
    return { node, view, unit, redraw };
  }

  function point(node, event) {
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(node.getScreenCTM().inverse());
    return [x, y];
  }

  /** Calls `drag(dx, dy, start)` while a pointer holds `node`; `start` is what `begin()` gave when it went down. */
  function draggable(stage, node, begin, drag) {
    let held = null;
    node.addEventListener("pointerdown", (event) => {
      held = { from: point(stage.node, event), start: begin() };
      node.setPointerCapture(event.pointerId);
      event.preventDefault();
      event.stopPropagation();
      node.closest("[tabindex]").focus({ preventScroll: true });
    });
    node.addEventListener("pointermove", (event) => {
      if (!held) return;
      const [x, y] = point(stage.node, event);
      drag(x - held.from[0], y - held.from[1], held.start);
    });
    for (const end of ["pointerup", "pointercancel"]) node.addEventListener(end, () => (held = null));
  }

  /**
   * A box to drag by its inside, its name or its corners. Arrow keys move it, with Shift they move its lower right
   * corner. `options`: name, colour, rule (of drag.js), get() and change(box), fixed (no corners), lift (how far below
   * its place it is drawn). Without a colour, CSS gives one by its state. A small box has its name above it. Returns the function that draws it, and that
   * returns the middle of its name.
   */
  function box(stage, parent, { name, colour, rule, get, change, fixed = false, lift = 0 }) {
    const group = svg(parent, "g", { class: "box", tabindex: 0, role: "group" });
    if (colour) group.style.setProperty("--box", `var(--${colour})`);
    const body = svg(group, "rect", { class: "body" });
    const tag = svg(group, "g", { class: "tag" });
    const plate = svg(tag, "rect");
    const letters = svg(tag, "text", {}, name);
    const corners = fixed ? [] : Drag.CORNERS.map(() => svg(group, "g", { class: "corner" }));
    for (const corner of corners) {
      svg(corner, "circle", { class: "reach" });
      svg(corner, "circle", { class: "dot" });
    }
    for (const node of [body, tag]) {
      draggable(stage, node, get, (dx, dy, start) => change(Drag.moved(start, dx, dy, rule())));
    }
    corners.forEach((corner, k) => {
      draggable(stage, corner, get, (dx, dy, start) => change(Drag.resized(start, k, dx, dy, rule())));
    });
    group.addEventListener("keydown", (event) => {
      if (!ARROWS[event.key]) return;
      event.preventDefault();
      const [dx, dy] = ARROWS[event.key].map((value) => value * rule().step);
      change(event.shiftKey && !fixed ? Drag.resized(get(), 2, dx, dy, rule()) : Drag.moved(get(), dx, dy, rule()));
    });

    return (unit, { corner = 0, state = "" } = {}) => {
      const here = get().map((value, k) => (k % 2 ? value + lift : value));
      const keys = fixed ? "arrow keys move it" : "arrow keys move it, with Shift they resize it";
      set(group, { "aria-label": `box ${name}, ${get().join(" ")}; ${keys}`, "data-state": state });
      set(body, rect(here));
      const width = (8.5 * name.length + 8) * unit;
      const small = here[2] - here[0] < width + 16 * unit || here[3] - here[1] < 36 * unit;
      const [i, j] = Drag.CORNERS[corner];
      const left = i === 0 ? here[0] : here[2] - width;
      const x = small ? Drag.clamp(left, stage.view[0], stage.view[2] - width) : left;
      const y = small ? Math.max(here[1] - 24 * unit, stage.view[1]) : j === 1 ? here[1] : here[3] - 18 * unit;
      set(plate, { x, y, width, height: 18 * unit });
      set(letters, { x: x + width / 2, y: y + 13.5 * unit, "font-size": 13 * unit });
      corners.forEach((node, k) => {
        const [cx, cy] = [here[Drag.CORNERS[k][0]], here[Drag.CORNERS[k][1]]];
        set(node.children[0], { cx, cy, r: 14 * unit });
        set(node.children[1], { cx, cy, r: 5 * unit });
      });
      return [x + width / 2, y + 9 * unit];
    };
  }

  /** A labelled slider with its value beside it; `input(value)` runs at each change. Returns its setter. */
  function slider(parent, label, { min, max, step, value, show = String }, input) {
    const row = html(parent, "label", { class: "slider" });
    html(row, "span", {}, label);
    const range = html(row, "input", { type: "range", min, max, step, value });
    const shown = html(row, "output");
    const put = (to, limit = range.max) => {
      range.max = limit;
      range.value = to;
      shown.textContent = show(Number(range.value));
    };
    range.addEventListener("input", () => {
      put(range.value);
      input(Number(range.value));
    });
    put(value);
    return put;
  }

  function button(parent, text, press, attributes = {}) {
    const node = html(parent, "button", { type: "button", ...attributes }, text);
    node.addEventListener("click", press);
    return node;
  }

  return { mount, address, set, html, svg, rect, canvas, point, draggable, box, slider, button };
})();
