// One stream: its socket, its picture, its state. The state shown is the worst of what the server says, of how long
// the last message is ago and of how old the picture is: a dead connection never looks live.
import { paint } from "./mask.js";

const ORDER = ["LIVE", "FROZEN", "NO_SIGNAL", "INVALID", "STALE", "LOST"];
const HEARTBEAT_MS = 300, STALE_MS = 500, LOST_MS = 3000, POINTS = 120;
const ACK = new Uint8Array(0);

export class Tile {
  constructor(info, settings) {
    this.info = info;
    this.settings = settings;
    this.colors = info.classes.map(({ color }) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16)));
    this.root = document.getElementById("tile").content.firstElementChild.cloneNode(true);
    const find = (name) => this.root.querySelector(name);
    this.at = Object.fromEntries(["state b", ".age", ".reason", ".name", "time", ".picture", ".mask", ".note", ".legend", ".spark", ".p50 b", ".p95 b", ".fps b"]
      .map((name) => [name.replace(/[ .]/g, ""), find(name === "state b" ? ".state b" : name)]));
    this.at.name.textContent = info.stream;
    this.at.name.title = `${info.stream} · ${info.engine}`;
    this.at.legend.replaceChildren(...info.classes.map(({ name, color }) => {
      const item = document.createElement("span"), box = document.createElement("i"), value = document.createElement("b");
      box.style.background = color;
      item.append(box, `${name} `, value);
      return item;
    }));
    this.values = [...this.at.legend.querySelectorAll("b")];
    this.points = [];
    this.offset = Infinity;
    this.heard = -Infinity;
    this.said = null;
    this.frame = null;
    this.setState("LOST", "connecting", null);
    this.connect();
    setInterval(() => this.tick(), 100);
  }

  connect() {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/${this.info.number}`);
    socket.binaryType = "arraybuffer";
    let turn = Promise.resolve();
    socket.onmessage = ({ data }) => {
      const arrived = performance.now();
      turn = turn.then(() => this.take(data, arrived)).catch(console.error).then(() => {
        if (socket.readyState === WebSocket.OPEN) socket.send(ACK);
      });
    };
    socket.onclose = () => setTimeout(() => this.connect(), 1000);
  }

  async take(data, arrived) {
    const [said, rest] = part(data, 0);
    // The smallest difference of the clocks seen so far is that of the fastest message; more is time on the way.
    this.offset = Math.min(this.offset + 0.01, arrived - said.time);
    said.age = said.age_ms + Math.max(0, arrived - said.time - this.offset);
    if (rest < data.byteLength) {
      const [about, at] = part(data, rest);
      const whole = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
      const [picture, maps] = await Promise.all([
        createImageBitmap(new Blob([new Uint8Array(data, at, about.jpeg)], { type: "image/jpeg" })),
        about.source ? createImageBitmap(new Blob([new Uint8Array(data, at + about.jpeg)], { type: "image/png" }), whole) : null,
      ]);
      this.frame?.maps?.close();
      this.frame = { ...about, maps };
      const canvas = this.at.picture;
      if (canvas.width !== about.width || canvas.height !== about.height) [canvas.width, canvas.height] = [about.width, about.height];
      canvas.getContext("2d").drawImage(picture, 0, 0);
      picture.close();
      this.drawMask();
      if (said.state === "LIVE") this.point(said.last_ms);
    } else if (said.state !== "LIVE") this.point(null);
    [this.said, this.heard] = [said, arrived];
    this.figures();
    this.tick();
  }

  tick() {
    const now = performance.now(), silent = now - this.heard, said = this.said;
    if (!said) return this.setState("LOST", "connecting", null);
    const age = said.age + silent;
    let [state, reason] = [said.state, said.reason];
    const worse = (than, because) => { if (ORDER.indexOf(than) > ORDER.indexOf(state)) [state, reason] = [than, reason || because]; };
    const late = Math.max(age, silent), why = silent > HEARTBEAT_MS ? "no connection to edgeseg" : "no new picture";
    if (late > STALE_MS) worse(late > LOST_MS ? "LOST" : "STALE", why);
    this.setState(state, reason, this.frame ? age : null);
  }

  setState(state, reason, age) {
    this.state = state;
    this.root.dataset.state = state;
    this.at.stateb.textContent = state.replace("_", " ");
    const old = age !== null && age > STALE_MS;
    this.at.age.textContent = state === "LIVE" || !old ? "" : `${age < 99950 ? (age / 1000).toFixed(1) : Math.round(age / 1000)} s`;
    this.at.reason.textContent = state === "LIVE" ? (this.said?.degraded ? "degraded: late or lossy" : this.drift()) : reason;
    this.at.note.textContent = this.frame ? "" : "no picture yet";
    if (state !== "LIVE") for (const value of this.values) value.textContent = "–";
  }

  drift() {
    return this.said?.drift?.warning ? "unlike the training frames" : "";
  }

  drawMask() {
    const { frame, settings } = this;
    if (!frame) return;
    const areas = paint(this.at.mask, frame.maps, frame.source, frame, this.colors, this.levels(), settings.hidden ? 0 : settings.opacity / 100);
    this.values.forEach((value, index) => { value.textContent = frame.maps && areas[index] ? `${(100 * areas[index]).toFixed(1)} %` : "–"; });
  }

  levels() {
    return this.info.classes.map(({ threshold }) => this.settings.threshold ?? threshold);
  }

  figures() {
    const { said, at } = this;
    const show = (node, value, digits) => { node.textContent = value ? value.toFixed(digits) : "–"; };
    const gone = said.state === "STALE" || said.state === "LOST";
    show(at.p50b, gone ? 0 : said.latency_ms.p50, 0);
    show(at.p95b, gone ? 0 : said.latency_ms.p95, 0);
    show(at.fpsb, gone ? 0 : said.fps, 1);
    at.time.textContent = this.frame ? new Date(this.frame.wall_time * 1000).toLocaleTimeString("en-GB") : "";
    this.spark();
  }

  point(value) {
    this.points.push(value);
    if (this.points.length > POINTS) this.points.shift();
  }

  // Latency of the last frames; moments without a live picture are red along the bottom.
  spark() {
    const canvas = this.at.spark, ratio = devicePixelRatio, width = canvas.clientWidth * ratio, height = canvas.clientHeight * ratio;
    if (!width) return;
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const pen = canvas.getContext("2d"), top = Math.max(40, ...this.points) * 1.15;
    const x = (index) => width - (this.points.length - index) * width / POINTS, y = (value) => height - 2 * ratio - value / top * (height - 4 * ratio);
    pen.clearRect(0, 0, width, height);
    pen.lineWidth = 1.5 * ratio;
    pen.lineJoin = "round";
    pen.strokeStyle = "#7cc7ff";
    pen.globalAlpha = this.state === "LIVE" ? 1 : 0.4;
    pen.beginPath();
    this.points.forEach((value, index) => { if (value !== null) pen[index && this.points[index - 1] !== null ? "lineTo" : "moveTo"](x(index), y(value)); });
    pen.stroke();
    pen.globalAlpha = 1;
    pen.fillStyle = "#ff5a5a";
    this.points.forEach((value, index) => { if (value === null) pen.fillRect(x(index), height - 3 * ratio, width / POINTS + 1, 3 * ratio); });
  }

  // What is on the screen, with a line that says what it is.
  snapshot() {
    const { frame, at } = this;
    if (!frame) return;
    const line = Math.max(22, Math.round(frame.width / 34)), canvas = new OffscreenCanvas(frame.width, frame.height + line), pen = canvas.getContext("2d");
    pen.drawImage(at.picture, 0, 0);
    if (this.state === "LIVE") pen.drawImage(at.mask, 0, 0, frame.width, frame.height);
    const level = this.levels().map((value) => (value / 255).toFixed(2)).join(" ");
    const when = new Date(frame.wall_time * 1000).toISOString();
    const mask = this.state === "LIVE" && frame.maps ? `threshold ${level}` : "no mask";
    pen.fillStyle = "#11161b";
    pen.fillRect(0, frame.height, frame.width, line);
    pen.fillStyle = this.state === "LIVE" ? "#dde4ea" : "#ff5a5a";
    pen.font = `${Math.round(line * 0.55)}px sans-serif`;
    pen.textBaseline = "middle";
    pen.fillText(`${this.info.stream} · ${when} · #${frame.sequence} · ${this.state} · ${mask}`, line * 0.3, frame.height + line / 2, frame.width - line * 0.6);
    canvas.convertToBlob({ type: "image/png" }).then((blob) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = `edgeseg-${this.info.number + 1}-${when.replace(/[:.]/g, "-")}.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  }
}

// A length, that many bytes of JSON, and where the rest begins.
function part(data, at) {
  const length = new DataView(data).getUint32(at, true);
  return [JSON.parse(new TextDecoder().decode(new Uint8Array(data, at + 4, length))), at + 4 + length];
}
