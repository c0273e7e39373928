// Probability → coloured mask. The map is enlarged first and compared with the threshold after (as edgeseg does for
// what it records), so contours are smooth; only the part that holds something is enlarged.
const network = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
const work = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
const WIDEST = 1280, LINE = 2.2;

// Paints on `canvas`; returns each class's share of the frame, 0 to 1.
// maps: ImageBitmap, the classes' grey maps below each other; source: [left, top, width, height] in frame pixels.
export function paint(canvas, maps, source, frame, colors, levels, opacity) {
  const scale = Math.min(1, WIDEST / frame.width, (canvas.clientWidth * devicePixelRatio || WIDEST) / frame.width);
  const width = Math.round(frame.width * scale), height = Math.round(frame.height * scale);
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const target = canvas.getContext("2d");
  target.clearRect(0, 0, width, height);
  const areas = colors.map(() => 0);
  const part = maps && levels.length && bounds(maps, levels);
  if (!part) return areas;
  // The part in canvas pixels.
  const rows = maps.height / levels.length;
  const kx = source[2] * scale / maps.width, ky = source[3] * scale / rows;
  const left = Math.floor(source[0] * scale + part.left * kx), top = Math.floor(source[1] * scale + part.top * ky);
  const w = Math.min(width - left, Math.ceil(part.width * kx) + 1), h = Math.min(height - top, Math.ceil(part.height * ky) + 1);
  if (w < 1 || h < 1) return areas;
  const planes = levels.map((_, index) => enlarged(maps, index * rows, rows, source, scale, left, top, w, h));
  const out = new ImageData(w, h);
  planes.forEach((_, index) => { areas[index] = colour(out.data, planes, index, levels, colors[index], opacity, w, h) / (width * height); });
  target.putImageData(out, left, top);
  return areas;
}

// What lies at or above a threshold in the maps, with a rim for the bilinear slope; null if nothing does.
function bounds(maps, levels) {
  const { width, height } = maps, rows = height / levels.length;
  if (network.canvas.width !== width || network.canvas.height !== height) [network.canvas.width, network.canvas.height] = [width, height];
  network.drawImage(maps, 0, 0);
  const data = network.getImageData(0, 0, width, height).data;
  let left = width, right = -1, top = rows, bottom = -1;
  for (let y = 0, at = 0; y < height; y++) {
    const level = levels[Math.floor(y / rows)], row = y % rows;
    for (let x = 0; x < width; x++, at += 4) {
      if (data[at] < level) continue;
      if (x < left) left = x;
      if (x > right) right = x;
      if (row < top) top = row;
      if (row > bottom) bottom = row;
    }
  }
  if (right < 0) return null;
  [left, top] = [Math.max(0, left - 3), Math.max(0, top - 3)];
  return { left, top, width: Math.min(width, right + 4) - left, height: Math.min(rows, bottom + 4) - top };
}

function enlarged(maps, from, rows, source, scale, left, top, w, h) {
  if (work.canvas.width < w || work.canvas.height < h) [work.canvas.width, work.canvas.height] = [Math.max(work.canvas.width, w), Math.max(work.canvas.height, h)];
  work.fillStyle = "#000";
  work.fillRect(0, 0, w, h);
  work.imageSmoothingQuality = "low";
  work.drawImage(maps, 0, from, maps.width, rows, source[0] * scale - left, source[1] * scale - top, source[2] * scale, source[3] * scale);
  const data = work.getImageData(0, 0, w, h).data, plane = new Uint8Array(w * h);
  for (let i = 0; i < plane.length; i++) plane[i] = data[4 * i];
  return plane;
}

// One class: value minus what it must beat, divided by its slope, is the distance from the contour in pixels.
function colour(out, planes, index, levels, rgb, opacity, w, h) {
  const own = planes[index], lead = new Float32Array(w * h);
  let area = 0;
  for (let i = 0; i < lead.length; i++) {
    let bar = levels[index] - 0.5;
    for (let other = 0; other < planes.length; other++) {
      const value = planes[other][i];
      if (other !== index && value >= levels[other]) bar = Math.max(bar, value + (other < index ? 0.5 : -0.5));
    }
    lead[i] = own[i] - bar;
    area += lead[i] > 0;
  }
  for (let y = 0, i = 0; y < h; y++) {
    for (let x = 0; x < w; x++, i++) {
      const gx = (lead[x + 1 < w ? i + 1 : i] - lead[x ? i - 1 : i]) / 2, gy = (lead[y + 1 < h ? i + w : i] - lead[y ? i - w : i]) / 2;
      const distance = lead[i] / Math.max(1, Math.hypot(gx, gy));
      if (distance < -LINE - 1.5) continue;
      const line = clamp(LINE / 2 + 0.5 - Math.abs(distance)), halo = 0.55 * clamp(LINE / 2 + 1.5 - Math.abs(distance));
      const fill = opacity * clamp(distance + 0.5);
      if (opacity > 0) blend(out, 4 * i, [0, 0, 0], halo);
      blend(out, 4 * i, rgb, opacity > 0 ? Math.max(line, fill) : 0);
    }
  }
  return area;
}

const clamp = (value) => Math.min(1, Math.max(0, value));

function blend(out, at, rgb, alpha) {
  if (alpha <= 0) return;
  const under = out[at + 3] / 255, whole = alpha + under * (1 - alpha);
  for (let k = 0; k < 3; k++) out[at + k] = (rgb[k] * alpha + out[at + k] * under * (1 - alpha)) / whole;
  out[at + 3] = 255 * whole;
}
