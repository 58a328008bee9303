// Volumes: fetching, unpacking, and their values at a position of the common grid.

const root = document.documentElement;
const find = (id) => document.getElementById(id);
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const TYPES = { uint8: Uint8Array, int16: Int16Array, uint16: Uint16Array, float32: Float32Array };

const bytesOf = async (name) => {
  const element = find(name);
  if (element) {
    const text = atob(element.textContent);
    const bytes = new Uint8Array(text.length);
    for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
    return bytes;
  }
  const answer = await fetch(name).catch(() => { throw new Error("the command that serves this page has ended"); });
  if (!answer.ok) throw new Error(await answer.text());
  return new Uint8Array(await answer.arrayBuffer());
};

const unzipped = async (bytes) => {
  if (!globalThis.DecompressionStream) throw new Error("this browser is too old (no DecompressionStream)");
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
};

const paletteOf = (colors) => Uint32Array.from({ length: 256 }, (_, k) => {
  const [r, g, b] = colors === "gray" ? [k, k, k] : [0, 2, 4].map((at) => parseInt(index.palettes[colors].substr(6 * k + at, 2), 16));
  return (255 << 24) | (b << 16) | (g << 8) | r;
});

const load = async (layer) => {
  layer.data = new TYPES[layer.type](await unzipped(await bytesOf(layer.volume)));
  layer.palette = paletteOf(layer.colors);
};

// The place of a grid position in a volume: three rows of a 3 × 4 matrix.
const placeIn = (layer, at) => [0, 4, 8].map((row) => {
  const m = layer.from_grid;
  return m[row] * at[0] + m[row + 1] * at[1] + m[row + 2] * at[2] + m[row + 3];
});

const nearest = (layer, x, y, z) => {
  const [nx, ny, nz] = layer.shape;
  const i = Math.floor(x + 0.5), j = Math.floor(y + 0.5), k = Math.floor(z + 0.5);
  if (i < 0 || j < 0 || k < 0 || i >= nx || j >= ny || k >= nz) return NaN;
  return layer.data[i + nx * (j + ny * k)] * layer.slope + layer.intercept;
};

const linear = (layer, x, y, z) => {
  if (Number.isNaN(nearest(layer, x, y, z))) return NaN;
  const [nx, ny, nz] = layer.shape;
  x = clamp(x, 0, nx - 1); y = clamp(y, 0, ny - 1); z = clamp(z, 0, nz - 1);
  const i = Math.min(Math.floor(x), nx - 2), j = Math.min(Math.floor(y), ny - 2), k = Math.min(Math.floor(z), nz - 2);
  const d = layer.data, s = nx * ny, o = i + nx * j + s * k, u = x - i, v = y - j, w = z - k;
  const row = (p) => d[p] * (1 - u) + d[p + 1] * u;
  const plane = (p) => row(p) * (1 - v) + row(p + nx) * v;
  return (plane(o) * (1 - w) + plane(o + s) * w) * layer.slope + layer.intercept;
};
