// Columns of linked pictures with their controls.

// Faults are counted in attributes of the root element, where tests and curious readers find them.
const fault = (text) => {
  root.dataset.errors = Number(root.dataset.errors || 0) + 1;
  root.dataset.fault = String(text).slice(0, 300);
};
addEventListener("error", (event) => fault(event.message));
addEventListener("unhandledrejection", (event) => fault(event.reason));
addEventListener("securitypolicyviolation", (event) => fault("blocked: " + event.blockedURI));

const place = find("viewer");
if (!place) return;
const index = JSON.parse(find("viewer-index").textContent);
const MAX_ZOOM = 20;
const say = (text) => { find("viewer-status").textContent = text; };
const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

// ---- what is under the crosshair

const readable = (value) => Number.isNaN(value) ? "outside" : String(Number(value.toPrecision(6)));

const show = () => {
  for (const column of scene.columns) {
    const at = placeIn(column.layer, view.at);
    const voxel = at.map((value) => Math.floor(value + 0.5));
    const value = nearest(column.layer, ...at);
    column.value.textContent = readable(value);
    column.voxel.textContent = Number.isNaN(value) ? "" : `voxel ${voxel.join(", ")}`;
  }
  const mm = placeIn({ from_grid: scene.world }, view.at);
  find("viewer-position").textContent =
    mm.map((value, axis) => `${ENDS[axis][value < 0 ? 1 : 0]} ${Math.abs(value).toFixed(1)}`).join(", ") + " mm";
  for (const plane of PLANES) {
    find("viewer-slice-" + plane.name).value = view.at[plane.through] + 1;
    find("viewer-number-" + plane.name).textContent = `${view.at[plane.through] + 1} of ${scene.shape[plane.through]}`;
  }
  redraw();
};

const moveTo = (at) => {
  view.at = at.map((value, axis) => clamp(Math.round(value), 0, scene.shape[axis] - 1));
  show();
};
const step = (axis, count) => moveTo(view.at.map((value, k) => k === axis ? value + count : value));

const zoomTo = (zoom) => {
  const next = clamp(zoom, 1, MAX_ZOOM);
  view.center = next === 1
    ? scene.shape.map((size) => (size - 1) / 2)
    : view.center.map((value, axis) => view.at[axis] + (value - view.at[axis]) * view.zoom / next);
  view.zoom = next;
  find("viewer-zoom").value = 100 * Math.log(next) / Math.log(MAX_ZOOM);
  redraw();
};

const reset = () => {
  zoomTo(1);
  for (const column of scene.columns) for (const layer of column.layers) layer.window = [...layer.start];
  scene.columns.forEach(describe);
  find("viewer-wipe").value = 0;
  // beside the midline, where there is more tissue
  moveTo(scene.shape.map((size, axis) => (axis === 0 ? 0.58 : 0.5) * (size - 1)));
};

// ---- mouse and keyboard in a picture

const listen = (cell) => {
  const { canvas, plane } = cell;
  let drag = null;
  const at = (event) => {
    const box = canvas.getBoundingClientRect(), ratio = canvas.width / box.width;
    return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
  };
  const follow = (event) => {
    const [x, y] = at(event);
    if (drag.pans) {
      view.center[plane.across] += (x - drag.x) / (scene.spacing[plane.across] * scaleOf(cell));
      view.center[plane.up] += (y - drag.y) / (scene.spacing[plane.up] * scaleOf(cell));
      [drag.x, drag.y] = [x, y];
      redraw();
      return;
    }
    const next = [...view.at];
    next[plane.across] = toGrid(cell, plane.across, x, canvas.width);
    next[plane.up] = toGrid(cell, plane.up, y, canvas.height);
    moveTo(next);
  };
  canvas.addEventListener("pointerdown", (event) => {
    const [x, y] = at(event);
    drag = { x, y, pans: event.button === 2 || event.shiftKey };
    if (event.isTrusted) canvas.setPointerCapture(event.pointerId);
    canvas.focus({ preventScroll: true });
    follow(event);
  });
  canvas.addEventListener("pointermove", (event) => { if (drag) follow(event); });
  for (const type of ["pointerup", "pointercancel"]) canvas.addEventListener(type, () => { drag = null; });
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("wheel", (event) => {
    if (document.activeElement !== canvas) return;  // the page scrolls until a picture was clicked
    event.preventDefault();
    if (event.ctrlKey) zoomTo(view.zoom * (event.deltaY < 0 ? 1.15 : 1 / 1.15));
    else step(plane.through, event.deltaY < 0 ? 1 : -1);
  }, { passive: false });
  const keys = {
    ArrowLeft: () => step(plane.across, 1), ArrowRight: () => step(plane.across, -1),
    ArrowUp: () => step(plane.up, 1), ArrowDown: () => step(plane.up, -1),
    PageUp: () => step(plane.through, 1), PageDown: () => step(plane.through, -1),
    "+": () => zoomTo(view.zoom * 1.25), "=": () => zoomTo(view.zoom * 1.25), "-": () => zoomTo(view.zoom / 1.25),
    0: reset,
  };
  canvas.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });
};

// ---- columns: a heading, a legend with the window, and a picture for each plane

const describe = (column) => {
  const { layer } = column;
  column.low.value = readable(layer.window[0]);
  column.high.value = readable(layer.window[1]);
  column.unit.textContent = layer.unit;
  const colors = [0, 51, 102, 153, 204, 255].map((k) => {
    const color = layer.palette[k];
    return `rgb(${color & 255} ${(color >> 8) & 255} ${(color >> 16) & 255})`;
  });
  column.bar.style.background = `linear-gradient(to right, ${colors.join(", ")})`;
  for (const cell of cells.filter((cell) => cell.column === column)) {
    const [left, right, top, bottom] = cell.plane.edges;
    cell.canvas.setAttribute("aria-label", `${layer.name}, ${cell.plane.name} slice; left is ${left}, right ${right}, ` +
      `top ${top}, bottom ${bottom}. Arrow keys move the crosshair, Page Up and Down the slice, plus and minus zoom.`);
  }
};

const setWindow = (column) => {
  const window = [column.low.valueAsNumber, column.high.valueAsNumber];
  if (!(window[0] < window[1])) {
    say("A window needs two numbers, the smaller one for black.");
    return;
  }
  say("");
  const { layer } = column;
  for (const other of scene.columns.flatMap((each) => each.layers)) {
    if (other === layer || (layer.linked && other.linked === layer.linked)) other.window = [...window];
  }
  scene.columns.forEach(describe);
  redraw();
};

const build = (column) => {
  const number = (title) => make("input", { type: "number", step: "any", title });
  const names = column.layers.map((layer) => layer.name);
  column.layer = column.layers[0];
  column.value = make("output", { className: "viewer-value" });
  column.voxel = make("small");
  column.low = number("value shown as the first color");
  column.high = number("value shown as the last color");
  column.bar = make("span", { className: "viewer-bar" });
  column.unit = make("small");
  const choice = make("select", { ariaLabel: "shown in this column" }, ...names.map((name) => new Option(name, name)));
  choice.addEventListener("change", () => {
    column.layer = column.layers[choice.selectedIndex];
    describe(column);
    show();
  });
  for (const [input, what] of [[column.low, "lower"], [column.high, "upper"]]) {
    input.ariaLabel = `${what} end of the window of ${names[0]}`;
    input.addEventListener("change", () => setWindow(column));
  }
  const figure = make("figure", {},
    make("figcaption", {}, names.length > 1 ? choice : make("b", {}, names[0]), column.voxel, column.value),
    make("div", { className: "viewer-legend" }, column.low, column.bar, column.high, column.unit));
  for (const plane of PLANES) {
    const canvas = make("canvas", { tabIndex: 0 });
    canvas.setAttribute("role", "application");
    canvas.dataset.plane = plane.name;
    figure.append(canvas);
    cells.push({ canvas, plane, column });
    listen(cells.at(-1));
  }
  return figure;
};

const showPlanes = () => {
  const chosen = find("viewer-plane").value;
  place.dataset.planes = chosen === "all" ? "all" : "one";
  for (const cell of cells) cell.canvas.hidden = chosen !== "all" && chosen !== cell.plane.name;
  redraw();
};

const open = async (number) => {
  delete root.dataset.ready;
  say("Loading …");
  const { name } = index.scenes[number];
  const element = find(name);
  const next = JSON.parse(element ? element.textContent : new TextDecoder().decode(await bytesOf(name)));
  const layers = next.columns.flatMap((column) => column.layers);
  for (const layer of layers) layer.start = [...layer.window];
  await Promise.all(layers.map(load));
  scene = next;
  cells = [];
  find("viewer-columns").replaceChildren(...scene.columns.map(build));
  place.style.setProperty("--columns", scene.columns.length);
  find("viewer-facts").textContent = scene.facts.join(" · ");
  find("viewer-notes").replaceChildren(...scene.notes.map((text) => make("li", {}, text)));
  find("viewer-wipe").parentElement.hidden = !scene.wipe;
  for (const plane of PLANES) find("viewer-slice-" + plane.name).max = scene.shape[plane.through];
  find("viewer-tools").hidden = false;
  showPlanes();
  reset();
  say("");
  root.dataset.ready = scene.columns.length;
};

let work = Promise.resolve();
const openNext = (number) => {
  work = work.then(() => open(number)).catch((error) => {
    say("This cannot be shown: " + error.message);
    fault(error.message);
  });
};

find("viewer-scene").addEventListener("change", (event) => openNext(event.target.selectedIndex));
find("viewer-plane").addEventListener("change", showPlanes);
find("viewer-reset").addEventListener("click", reset);
for (const name of ["wipe", "smooth", "crosshair"]) find("viewer-" + name).addEventListener("input", redraw);
find("viewer-zoom").addEventListener("input", (event) => zoomTo(MAX_ZOOM ** (event.target.valueAsNumber / 100)));
for (const plane of PLANES) {
  find("viewer-slice-" + plane.name).addEventListener("input", (event) =>
    step(plane.through, event.target.valueAsNumber - 1 - view.at[plane.through]));
}
addEventListener("resize", redraw);
openNext(0);
