// Pictures of slices. Axes of the grid point to R, A, S; pictures are in the radiological convention, so both axes of a
// picture run against those of the grid: left is R or A, up is A or S.

const PLANES = [
  { name: "axial", across: 0, up: 1, through: 2, edges: ["R", "L", "A", "P"] },
  { name: "coronal", across: 0, up: 2, through: 1, edges: ["R", "L", "S", "I"] },
  { name: "sagittal", across: 1, up: 2, through: 0, edges: ["A", "P", "S", "I"] },
];
const ENDS = [["R", "L"], ["A", "P"], ["S", "I"]];

let scene = null;
let cells = [];
const view = { at: [0, 0, 0], center: [0, 0, 0], zoom: 1 };

const scratch = document.createElement("canvas");

const picture = (layer, plane) => {
  const width = scene.shape[plane.across], height = scene.shape[plane.up];
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const corner = [...view.at];
  corner[plane.across] = width - 1;
  corner[plane.up] = height - 1;
  const [x0, y0, z0] = placeIn(layer, corner);
  const m = layer.from_grid, a = plane.across, b = plane.up;
  const sample = find("viewer-smooth").checked ? linear : nearest;
  const [low, high] = layer.window, scale = 255 / Math.max(high - low, 1e-30);
  for (let row = 0, p = 0; row < height; row++) {
    for (let column = 0; column < width; column++, p++) {
      const value = sample(layer, x0 - column * m[a] - row * m[b], y0 - column * m[4 + a] - row * m[4 + b],
        z0 - column * m[8 + a] - row * m[8 + b]);
      if (value === value) pixels[p] = layer.palette[clamp(Math.round((value - low) * scale), 0, 255)];
    }
  }
  scratch.width = width;
  scratch.height = height;
  scratch.getContext("2d").putImageData(image, 0, 0);
  return scratch;
};

const scaleOf = (cell) => {
  const planes = find("viewer-plane").value === "all" ? PLANES : [cell.plane];
  const size = (axis) => scene.shape[axis] * scene.spacing[axis];
  const { width, height } = cell.canvas;
  return view.zoom * Math.min(...planes.map((plane) => Math.min(width / size(plane.across), height / size(plane.up))));
};

const toScreen = (cell, axis, position, extent) =>
  extent / 2 - (position - view.center[axis]) * scene.spacing[axis] * scaleOf(cell);
const toGrid = (cell, axis, position, extent) =>
  view.center[axis] - (position - extent / 2) / (scene.spacing[axis] * scaleOf(cell));

const draw = (cell) => {
  const { canvas, plane, column } = cell;
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(canvas.clientWidth * ratio);
  canvas.height = Math.round(canvas.clientHeight * ratio);
  const { width, height } = canvas;
  if (!width || !height) return;
  const pen = canvas.getContext("2d");
  const across = (position) => toScreen(cell, plane.across, position, width);
  const up = (position) => toScreen(cell, plane.up, position, height);
  const left = across(scene.shape[plane.across] - 0.5), right = across(-0.5);
  const top = up(scene.shape[plane.up] - 0.5), bottom = up(-0.5);
  pen.fillStyle = "#000";
  pen.fillRect(0, 0, width, height);
  pen.imageSmoothingEnabled = find("viewer-smooth").checked;
  pen.drawImage(picture(column.layer, plane), left, top, right - left, bottom - top);
  const wiped = find("viewer-wipe").value / 100;
  if (scene.wipe && column === scene.columns[1] && wiped > 0) {
    const from = Math.max(left, 0), edge = from + wiped * (Math.min(right, width) - from);
    pen.save();
    pen.beginPath();
    pen.rect(0, 0, edge, height);
    pen.clip();
    pen.fillRect(0, 0, width, height);
    pen.drawImage(picture(scene.columns[0].layer, plane), left, top, right - left, bottom - top);
    pen.restore();
    line(pen, ratio, "#ffd24a", [edge, 0, edge, height]);
  }
  if (find("viewer-crosshair").checked) {
    const x = across(view.at[plane.across]), y = up(view.at[plane.up]), gap = 7 * ratio;
    line(pen, ratio, "#4dc3ff", [0, y, x - gap, y], [x + gap, y, width, y], [x, 0, x, y - gap], [x, y + gap, x, height]);
  }
  const bar = 50 * scaleOf(cell);  // mm
  const short = bar > 0.7 * width;
  const end = height - 10 * ratio;
  line(pen, 2 * ratio, "#fff", [10 * ratio, end, 10 * ratio + (short ? bar / 5 : bar), end]);
  write(pen, ratio, short ? "10 mm" : "50 mm", 10 * ratio, end - 9 * ratio, "left");
  write(pen, ratio, plane.edges[0], 8 * ratio, height / 2, "left");
  write(pen, ratio, plane.edges[1], width - 8 * ratio, height / 2, "right");
  write(pen, ratio, plane.edges[2], width / 2, 11 * ratio, "center");
  write(pen, ratio, plane.edges[3], width / 2, height - 11 * ratio, "center");
};

const line = (pen, thick, color, ...parts) => {
  pen.strokeStyle = color;
  pen.lineWidth = thick;
  pen.beginPath();
  for (const [x0, y0, x1, y1] of parts) { pen.moveTo(x0, y0); pen.lineTo(x1, y1); }
  pen.stroke();
};

const write = (pen, ratio, text, x, y, align) => {
  pen.font = `600 ${13 * ratio}px system-ui, sans-serif`;
  pen.textAlign = align;
  pen.textBaseline = "middle";
  pen.lineWidth = 3 * ratio;
  pen.strokeStyle = "#000";
  pen.strokeText(text, x, y);
  pen.fillStyle = "#fff";
  pen.fillText(text, x, y);
};

let waiting = false;
const redraw = () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; if (scene) cells.filter((cell) => !cell.canvas.hidden).forEach(draw); });
};
