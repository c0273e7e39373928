// The page: a tile per stream, the controls, the keys.
import { Tile } from "./tile.js";

const byId = (id) => document.getElementById(id);
const grid = byId("grid");
const settings = { opacity: 30, threshold: null, hidden: false };
let tiles = [], front = 0;

function layout(single) {
  const count = single ? 1 : tiles.length;
  grid.classList.toggle("single", single);
  grid.classList.toggle("small", count > 1);
  grid.style.setProperty("--columns", Math.ceil(Math.sqrt(count)));
  tiles.forEach((tile, index) => tile.root.classList.toggle("front", index === front));
}

function choose(index) {
  if (index >= tiles.length) return;
  front = index;
  layout(true);
}

function show() {
  byId("opacity").value = settings.opacity;
  byId("opacity-value").textContent = settings.hidden || settings.opacity === 0 ? "off" : `${settings.opacity} %`;
  const own = tiles[front]?.info.classes[0]?.threshold ?? 128, level = settings.threshold ?? own;
  byId("threshold").value = level;
  byId("threshold-value").textContent = (level / 255).toFixed(2);
  byId("threshold-value").classList.toggle("changed", settings.threshold !== null && settings.threshold !== own);
  tiles.forEach((tile) => tile.drawMask());
}

function fullscreen() {
  document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen();
}

const keys = {
  o: () => byId("opacity").focus(),
  t: () => byId("threshold").focus(),
  m: () => { settings.hidden = !settings.hidden; show(); },
  r: () => { settings.threshold = null; show(); },
  s: () => tiles[front]?.snapshot(),
  f: fullscreen,
  "?": () => byId("help").showModal(),
  0: () => layout(tiles.length === 1),
  Escape: () => layout(tiles.length === 1),
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  const act = keys[event.key] ?? (/^[1-9]$/.test(event.key) ? () => choose(Number(event.key) - 1) : null);
  if (!act) return;
  event.preventDefault();
  act();
});
byId("opacity").oninput = ({ target }) => { settings.opacity = Number(target.value); settings.hidden = false; show(); };
byId("threshold").oninput = ({ target }) => { settings.threshold = Number(target.value); show(); };
byId("snapshot").onclick = keys.s;
byId("fullscreen").onclick = fullscreen;
byId("help-button").onclick = keys["?"];
byId("help").onclick = () => byId("help").close();

// Streams come when the model is loaded; until then, and while edgeseg is away, ask again.
async function begin() {
  const infos = await fetch("/api/streams").then((answer) => answer.json()).catch(() => []);
  if (infos.length !== tiles.length) {
    for (const info of infos.slice(tiles.length)) {
      const tile = new Tile(info, settings);
      tiles.push(tile);
      tile.root.ondblclick = () => (grid.classList.contains("single") && tiles.length > 1 ? layout(false) : choose(info.number));
      grid.append(tile.root);
    }
    layout(tiles.length === 1);
    show();
  }
  setTimeout(begin, tiles.length ? 5000 : 500);
}
begin();
