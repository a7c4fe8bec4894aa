
"use strict";
// Lanes of a video: drawn once for what is seen of them, from a pyramid of maxima; while a video
// plays only the cursor moves.
class Lanes {
  // element: a div.lanes with its data inside; onSeek(seconds): what a click or a key asks for.
  constructor(element, onSeek) {
    this.element = element;
    this.onSeek = onSeek || (() => {});
    const data = page.island(element);
    this.begin = data.begin; this.end = Math.max(data.end, data.begin + 0.001);
    this.from = this.begin; this.to = this.end; this.now = this.begin;
    // Which of the found segments are drawn; candidates that a better one overlaps are not.
    this.shows = segment => !segment[3];
    this.runs = data.runs.map(([first, step, count]) => ({ first, step, count, at: 0 }));
    this.runs.reduce((at, run) => { run.at = at; return at + run.count; }, 0);
    this.truth = data.truth;
    this.gaps = data.gaps; this.clock = data.clock;
    this.lanes = data.lanes.map(lane => this.build(lane));
    this.axis = this.row("axis", "");
    this.overview = this.row("overview", "");
    this.cursor = page.make("div", { className: "cursor" });
    this.tip = page.make("div", { className: "tip", hidden: true });
    element.append(this.cursor, this.tip);
    element.tabIndex = 0;
    element.setAttribute("role", "slider");
    element.setAttribute("aria-valuemin", this.begin);
    element.setAttribute("aria-valuemax", this.end);
    // As wide as the longest name, within reason.
    const names = this.lanes.map(lane => lane.row.firstChild.scrollWidth);
    element.style.setProperty("--labels", Math.min(220, Math.max(84, ...names.map(wide => wide + 2))) + "px");
    this.redraw = page.later(() => this.draw());
    this.listen();
    page.onLook(() => { this.look = null; this.redraw(); });
    this.draw();
  }

  // A time as people read it: of the video, or on the clock.
  say(seconds, decimals) {
    return this.clock === null ? page.clock(seconds, decimals) : page.wall(this.clock + seconds, decimals, this.end - this.begin > 86400);
  }

  row(kind, label) {
    const canvas = page.make("canvas"), name = page.make("span", { text: label, title: label });
    const row = page.make("div", { className: "lane " + kind }, name, canvas);
    this.element.append(row);
    return { row, canvas };
  }

  build(lane) {
    const built = this.row(lane.found.length || lane.true.length ? "" : "empty", lane.label);
    const bytes = lane.scores === null ? null : decoded(lane.scores);
    return Object.assign(built, { label: lane.label, found: lane.found, true: lane.true, levels: bytes && pyramid(bytes) });
  }

  draw() {
    const look = this.look ||= Object.fromEntries(["ink", "quiet", "rule", "found", "scores", "true"].map(name => [name, page.colour(name)]));
    const whole = this.from <= this.begin && this.to >= this.end;
    this.overview.row.hidden = whole;
    // Asked once: all canvases are as wide, and each question after a change is answered anew.
    const w = this.axis.canvas.clientWidth;
    for (const lane of this.lanes) if (!lane.row.hidden) this.drawLane(lane, look, w);
    this.drawAxis(look, w);
    if (!whole) this.drawOverview(look, w);
    this.place();
  }

  // The context of a canvas of as many pixels as the screen has; sizes are CSS pixels.
  paper(canvas, w, h) {
    const k = devicePixelRatio || 1;
    if (canvas.width !== Math.round(w * k) || canvas.height !== Math.round(h * k)) {
      canvas.width = Math.round(w * k); canvas.height = Math.round(h * k);
    }
    const g = canvas.getContext("2d");
    g.setTransform(k, 0, 0, k, 0, 0);
    g.clearRect(0, 0, w, h);
    return g;
  }

  drawLane(lane, look, w) {
    const h = Lanes.HEIGHT, g = this.paper(lane.canvas, w, h), top = 12, bottom = this.truth ? 10 : 2;
    const x = t => (t - this.from) / (this.to - this.from) * w;
    this.drawGaps(g, look, x, w, h);
    if (lane.levels) {
      g.fillStyle = look.scores;
      const base = h - bottom, tall = base - top;
      for (const run of this.runs) this.fillRun(g, lane, run, w, base, tall);
    }
    this.bars(g, lane.found.filter(this.shows), x, w, 3, 7, look.found);
    this.bars(g, lane.true, x, w, h - 8, 6, look.true);
  }

  // Hatched, so that it is no bar of any colour.
  drawGaps(g, look, x, w, h) {
    if (!this.gaps.length) return;
    if (!look.hatch) {
      const tile = document.createElement("canvas"), lines = tile.getContext("2d");
      tile.width = tile.height = 6;
      lines.strokeStyle = look.quiet; lines.globalAlpha = 0.6;
      lines.beginPath();
      for (const at of [-6, 0, 6]) { lines.moveTo(at - 1, 7); lines.lineTo(at + 7, -1); }
      lines.stroke();
      look.hatch = g.createPattern(tile, "repeat");
    }
    g.fillStyle = look.hatch;
    for (const [start, end] of this.gaps) {
      const left = Math.max(0, x(start)), right = Math.min(w, x(end));
      if (right > 0 && left < w) g.fillRect(left, 0, Math.max(1, right - left), h);
    }
  }

  fillRun(g, lane, run, w, base, tall) {
    const width = (this.to - this.from) / w, end = run.first + (run.count - 0.5) * run.step, begin = run.first - run.step / 2;
    const left = Math.max(0, Math.floor((begin - this.from) / width)), right = Math.min(w, Math.ceil((end - this.from) / width));
    if (left >= right) return;
    g.beginPath();
    g.moveTo(Math.max(left, (begin - this.from) / width), base);
    for (let p = left; p <= right; p++) {
      const t = Math.min(end, Math.max(begin, this.from + p * width)), n = (t - run.first) / run.step;
      const many = width / run.step;
      const value = many > 1 ? greatest(lane.levels, clamp(Math.floor(n), run) + run.at, clamp(Math.floor(n + many), run) + run.at) : between(lane.levels[0], n, run);
      g.lineTo((t - this.from) / width, base - tall * value / 255);
    }
    g.lineTo(Math.min(right, (end - this.from) / width), base);
    g.closePath();
    g.fill();
  }

  bars(g, segments, x, w, y, tall, colour) {
    g.fillStyle = colour;
    for (const [start, end, score] of segments) {
      const a = x(start), b = x(end);
      if (b < 0 || a > w) continue;
      const left = Math.max(-4, a), wide = Math.max(2, Math.min(w + 4, b) - left);
      g.globalAlpha = score == null ? 1 : 0.5 + 0.5 * Math.min(1, score);
      if (wide < 5) { g.fillRect(left, y, wide, tall); continue; }
      g.beginPath();
      g.roundRect(left, y, wide, tall, 2);
      g.fill();
    }
    g.globalAlpha = 1;
  }

  drawAxis(look, w) {
    const g = this.paper(this.axis.canvas, w, 24), range = this.to - this.from;
    const step = [.1, .2, .5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 36000].find(s => w * s / range > 76) || 86400 * Math.ceil(76 * range / w / 86400);
    g.font = "12px system-ui, sans-serif"; g.textBaseline = "top";
    // On a clock at whole hours and minutes of its day.
    const began = this.clock === null ? 0 : this.clock - new Date(this.clock * 1000).setHours(0, 0, 0, 0) / 1000;
    for (let n = Math.ceil((this.from + began) / step); n * step - began <= this.to; n++) {
      const t = n * step - began, at = (t - this.from) / range * w, isDay = this.clock !== null && n * step % 86400 === 0;
      const words = isDay ? page.day(new Date((this.clock + t) * 1000)) : this.clock === null ? page.clock(t, step < 1 ? 1 : 0) : page.wall(this.clock + t, step < 1 ? 1 : 0), wide = g.measureText(words).width;
      g.fillStyle = look.rule; g.fillRect(Math.min(w - 1, at), 0, 1, 5);
      g.fillStyle = look.quiet; g.fillText(words, Math.min(w - wide, Math.max(0, at - wide / 2)), 8);
    }
  }

  // The whole of the video, with a window round what the lanes show; hidden while they show all.
  drawOverview(look, w) {
    const h = 18, g = this.paper(this.overview.canvas, w, h), x = t => (t - this.begin) / (this.end - this.begin) * w;
    for (const lane of this.lanes) this.bars(g, lane.found.filter(this.shows), x, w, 6, h - 12, look.found);
    g.strokeStyle = look.ink; g.lineWidth = 2;
    g.strokeRect(x(this.from) + 1, 1, Math.max(4, x(this.to) - x(this.from) - 2), h - 2);
  }

  place() {
    const canvas = this.axis.canvas, w = canvas.clientWidth, at = (this.now - this.from) / (this.to - this.from);
    this.cursor.hidden = at < 0 || at > 1;
    this.cursor.style.transform = `translateX(${canvas.offsetLeft + at * w}px)`;
    this.cursor.style.height = this.axis.row.offsetTop + 5 + "px";
    const said = this.say(this.now, 1);
    if (said === this.said) return;
    this.said = said;
    this.element.setAttribute("aria-valuenow", this.now.toFixed(2));
    this.element.setAttribute("aria-valuetext", said);
  }

  // Where a video is; scrolls with it while it plays out of what is shown.
  moveTo(seconds) {
    this.now = seconds;
    const range = this.to - this.from;
    if (range < this.end - this.begin && (seconds > this.to || seconds < this.from)) this.show(seconds - range * 0.1, range);
    this.place();
  }

  show(from, range) {
    const all = this.end - this.begin;
    range = Math.min(all, Math.max(Math.min(0.5, all), range));
    this.from = range >= all ? this.begin : Math.min(this.end - range, Math.max(this.begin, from));
    this.to = range >= all ? this.end : this.from + range;
    this.redraw();
  }

  whole() { this.show(this.begin, this.end - this.begin); }

  zoom(factor, around) {
    const at = around === undefined ? (this.now >= this.from && this.now <= this.to ? this.now : (this.from + this.to) / 2) : around;
    const range = Math.min(this.end - this.begin, Math.max(0.5, (this.to - this.from) * factor));
    this.show(at - (at - this.from) / (this.to - this.from) * range, range);
  }

  seconds(event, canvas) {
    const box = (canvas || this.axis.canvas).getBoundingClientRect();
    return (event.clientX - box.left) / box.width;
  }

  seek(t) { this.onSeek(Math.min(this.end, Math.max(this.begin, t))); }

  listen() {
    const time = e => this.from + this.seconds(e) * (this.to - this.from), pointers = new Map();
    // Between two fingers, and whether there were two since the first touched.
    let spread = 0, pinched = false;
    const onLane = e => this.lanes.find(lane => lane.canvas === e.target);
    this.element.addEventListener("pointerdown", e => {
      if (e.target.tagName !== "CANVAS" || e.button) return;
      pointers.set(e.pointerId, e);
      e.target.setPointerCapture(e.pointerId);
      pinched = pointers.size > 1;
      // A finger may be the first of two: it seeks when it moves, or is gone.
      if (e.target === this.overview.canvas) this.slide(e); else if (!pinched && e.pointerType !== "touch") this.seek(time(e));
    });
    this.element.addEventListener("pointermove", e => {
      if (pointers.has(e.pointerId)) {
        pointers.set(e.pointerId, e);
        if (e.target === this.overview.canvas) this.slide(e);
        else if (!pinched) this.seek(time(e));
        else if (pointers.size > 1) {
          const [a, b] = [...pointers.values()], wide = Math.abs(a.clientX - b.clientX);
          if (spread && wide > 10) this.zoom(spread / wide, (time(a) + time(b)) / 2);
          spread = wide;
        }
      } else this.hint(onLane(e), e, time(e));
    });
    this.element.addEventListener("pointerup", e => {
      if (pointers.has(e.pointerId) && e.pointerType === "touch" && !pinched && e.target !== this.overview.canvas) this.seek(time(e));
    });
    for (const kind of ["pointerup", "pointercancel", "lostpointercapture"]) this.element.addEventListener(kind, e => { pointers.delete(e.pointerId); spread = 0; });
    this.element.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    this.element.addEventListener("wheel", e => {
      if (e.target.tagName !== "CANVAS") return;
      const sideways = e.shiftKey ? e.deltaY || e.deltaX : Math.abs(e.deltaX) > Math.abs(e.deltaY) ? e.deltaX : 0;
      if (e.ctrlKey || e.metaKey) this.zoom(e.deltaY > 0 ? 1.25 : 0.8, time(e));
      else if (sideways && this.to - this.from < this.end - this.begin) this.show(this.from + sideways / 800 * (this.to - this.from), this.to - this.from);
      else return;
      e.preventDefault();
    }, { passive: false });
    this.element.addEventListener("dblclick", () => this.whole());
  }

  slide(e) {
    const range = this.to - this.from;
    this.show(this.begin + this.seconds(e, this.overview.canvas) * (this.end - this.begin) - range / 2, range);
  }

  hint(lane, event, t) {
    this.tip.hidden = !lane || event.pointerType === "touch";
    if (this.tip.hidden) return;
    const words = [this.say(t, 1), lane.label], on = lane.found.filter(s => s[0] <= t && t <= s[1] && this.shows(s));
    const score = this.scoreAt(lane, t);
    if (score !== null) words.push("score " + score.toFixed(2));
    for (const s of on.slice(0, 3)) words.push(`${this.say(s[0], 1)} to ${this.say(s[1], 1)}${s[2] == null ? "" : " (" + s[2].toFixed(2) + ")"}`);
    if (this.gaps.some(s => s[0] <= t && t <= s[1])) words.push("no pictures");
    if (lane.true.some(s => s[0] <= t && t <= s[1])) words.push("true");
    this.tip.textContent = words.join("  ·  ");
    const box = this.element.getBoundingClientRect(), wide = this.tip.offsetWidth;
    this.tip.style.left = Math.max(0, Math.min(box.width - wide, event.clientX - box.left - wide / 2)) + "px";
    this.tip.style.top = lane.row.offsetTop - this.tip.offsetHeight - 2 + "px";
  }

  scoreAt(lane, t) {
    if (!lane.levels) return null;
    for (const run of this.runs) {
      const n = (t - run.first) / run.step;
      if (n >= -0.5 && n <= run.count - 0.5) return lane.levels[0][run.at + clamp(Math.round(n), run)] / 255;
    }
    return null;
  }
}
function decoded(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let n = 0; n < bytes.length; n++) bytes[n] = letters.charCodeAt(n);
  return bytes;
}
// As in style.css, CSS pixels.
Lanes.HEIGHT = 42;
// Levels of maxima, each half as long as the one before.
function pyramid(bytes) {
  const levels = [bytes];
  while (levels[levels.length - 1].length > 1) {
    const below = levels[levels.length - 1], above = new Uint8Array((below.length + 1) >> 1);
    for (let n = 0; n < below.length; n++) if (below[n] > above[n >> 1]) above[n >> 1] = below[n];
    levels.push(above);
  }
  return levels;
}
// The greatest of what lies from a to b, both included.
function greatest(levels, a, b) {
  let most = 0;
  for (const level of levels) {
    if (a > b) break;
    if (a & 1) most = Math.max(most, level[a++]);
    if (!(b & 1)) most = Math.max(most, level[b--]);
    a >>= 1; b >>= 1;
  }
  return most;
}
function clamp(n, run) { return Math.min(run.count - 1, Math.max(0, n)); }
// A value of a run between two of its scores.
function between(bytes, n, run) {
  const low = Math.floor(n), part = n - low;
  return bytes[run.at + clamp(low, run)] * (1 - part) + bytes[run.at + clamp(low + 1, run)] * part;
}
// Lanes that no script of the page has taken for itself show what they have.
addEventListener("DOMContentLoaded", () => {
  for (const element of document.querySelectorAll(".lanes:not([role])")) {
    const lanes = new Lanes(element, t => lanes.moveTo(t));
  }
});
