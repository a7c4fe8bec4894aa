"use strict";
// The live page: told of everything by one stream of events (`updates`), it asks for pictures alone.
// All times are seconds of the server's wall clock.
const HEIGHT = 42, MOST_SCORES = 1600, MOST_LINES = 200, LOST_SECONDS = 8;
const STATES = { playing: "plays", waiting: "waiting", lost: "lost", late: "late", failed: "given up", ended: "ended" };
const element = id => document.getElementById(id);
const live = {
  run: null, classes: [], cards: new Map(), span: 60,
  // Of the server's clock to this one's, the newest ones: what came fastest is nearest.
  offsets: [],
  // Pictures a second that this page may ask for.
  pictures: 5, number: 0,
  now() { return Date.now() / 1000 + (this.offsets.length ? Math.max(...this.offsets) : 0); },
};

class Card {
  constructor(name) {
    this.name = name;
    this.status = {}; this.times = []; this.rows = []; this.bars = new Map(); this.gaps = [];
    this.img = page.make("img", { alt: "picture of " + name });
    this.caption = page.make("figcaption", { text: "no picture yet" });
    this.shown = page.make("figure", { className: "shown" }, this.img, this.caption);
    this.state = page.make("p", { className: "state" });
    this.facts = page.make("p");
    this.words = page.make("p", { className: "words" });
    const about = page.make("div", { className: "about" }, page.make("h2", { text: name }), this.state, this.facts, this.words);
    // Until there is something to be drawn.
    this.lanes = page.make("div", { className: "lanes", hidden: true, role: "img", "aria-label": "scores and segments of " + name });
    this.element = page.make("section", { className: "source" }, this.shown, about, this.lanes);
    this.rowsOf = live.classes.map(label => ({ label, ...this.row("", label) }));
    this.axis = this.row("axis", "");
    this.none = page.make("p", { className: "none", text: "Nothing was found in this time.", hidden: true });
    this.lanes.prepend(this.none);
    this.isVisible = false; this.asks = false; this.drawn = 0;
    this.img.addEventListener("load", () => this.seen());
    this.img.addEventListener("error", () => { this.asks = false; this.again = Date.now() + 1500; });
    watcher.observe(this.element);
  }

  row(kind, label) {
    const canvas = page.make("canvas"), row = page.make("div", { className: "lane " + kind }, page.make("span", { text: label, title: label }), canvas);
    this.lanes.append(row);
    return { row, canvas };
  }

  take(told) {
    if (told.status) this.say(told.status);
    if (told.scores) this.score(told.scores);
    for (const [key, label, start, end, score] of told.bars || []) this.bars.set(key, { label, start, end, score });
    for (const key of told.gone || []) this.bars.delete(key);
    while (this.bars.size > 400) this.bars.delete(this.bars.keys().next().value);
    this.gaps.push(...told.gaps || []);
    this.gaps = this.gaps.slice(-100);
    this.drawn = 0;
    const isBlank = !this.times.length && !this.bars.size;
    if (this.lanes.hidden !== isBlank) { this.lanes.hidden = isBlank; labels(); }
  }

  score(told) {
    const binary = atob(told.bytes), num = live.classes.length;
    let at = 0;
    told.steps.forEach((step, n) => {
      at += step;
      this.times.push(at / 1000);
      this.rows.push(Uint8Array.from({ length: num }, (_, c) => binary.charCodeAt(n * num + c)));
    });
    if (this.times.length > MOST_SCORES) {
      this.times = this.times.slice(-MOST_SCORES); this.rows = this.rows.slice(-MOST_SCORES);
    }
  }

  say(status) {
    this.status = status;
    this.state.className = "state " + status.state;
    const n = status.segments || 0;
    const facts = [status.video, status.video && n + (n === 1 ? " segment" : " segments")];
    if (status.lag) facts.push(status.lag.toFixed(1) + " s late");
    if (status.restarts) facts.push("back " + status.restarts + "×");
    if (status.dropped) facts.push(status.dropped + " snippets dropped");
    this.facts.textContent = facts.filter(Boolean).join("  ·  ");
    this.words.textContent = status.words;
    this.words.hidden = !status.words;
    this.tick();
  }

  // What changes with the clock alone.
  tick() {
    const { state, since } = this.status, isAway = state !== "playing" && state !== "late";
    const words = STATES[state] || state || "";
    const said = isAway && since ? words + " for " + long(live.now() - since) : words;
    if (this.state.textContent !== said) this.state.textContent = said;
    this.shown.classList.toggle("stale", isAway);
    this.shown.classList.toggle("moves", !isAway && this.shown.classList.contains("seen"));
    const caption = !this.shown.classList.contains("seen") ? (isAway ? said : "no picture yet") : said;
    if (this.caption.textContent !== caption) this.caption.textContent = caption;
  }

  picture(now, wait) {
    const isAway = this.status.state !== "playing" && this.status.state !== "late";
    // It never had one.
    if (this.status.state === "waiting") return;
    if (this.asks ? now - this.asked < 10000 : now < (this.again || 0)) return;
    // One that is away keeps its last picture, which a page that was opened since has to ask for.
    if (isAway && this.shown.classList.contains("seen")) return;
    this.asks = true; this.asked = now; this.again = now + wait;
    this.img.src = "picture/" + encodeURIComponent(this.name) + ".jpg?" + live.number++;
  }

  seen() {
    this.asks = false;
    this.shown.style.setProperty("--shape", this.img.naturalWidth + " / " + this.img.naturalHeight);
    if (!this.shown.classList.contains("seen")) { this.shown.classList.add("seen"); this.tick(); }
  }

  // Drawn anew where it would have moved by a pixel, or was told something.
  draw(at, look) {
    const w = this.axis.canvas.clientWidth, now = live.now();
    if (!w || at - this.drawn < Math.min(500, Math.max(60, live.span / w * 1000))) return;
    this.drawn = at;
    const from = now - live.span, bars = [...this.bars.values()].filter(bar => (bar.end ?? now) > from);
    const active = new Set(bars.map(bar => bar.label)), showsAll = element("quiet").checked;
    let number = 0;
    this.rowsOf.forEach((row, c) => {
      row.row.hidden = !showsAll && !active.has(row.label);
      row.row.classList.toggle("empty", !active.has(row.label));
      if (row.row.hidden) return;
      number++;
      this.lane(row.canvas, c, bars.filter(bar => bar.label === row.label), from, now, w, look);
    });
    this.none.hidden = number > 0;
    this.times_of_day(from, now, w, look);
  }

  lane(canvas, c, bars, from, now, w, look) {
    const g = paper(canvas, w, HEIGHT), x = t => (t - from) / (now - from) * w, base = HEIGHT - 2, tall = base - 12;
    g.fillStyle = look.hatch;
    for (const [start, end] of this.gaps) if (end > from) g.fillRect(x(start), 0, Math.max(1, x(end) - x(start)), HEIGHT);
    if (this.status.state === "lost" && this.times.length) {
      const start = Math.max(x(this.times[this.times.length - 1]), x(this.status.since));
      g.fillRect(start, 0, w - start, HEIGHT);
    }
    g.fillStyle = look.scores;
    let n = firstFrom(this.times, from - 5);
    while (n < this.times.length) {
      g.beginPath();
      g.moveTo(x(this.times[n]), base);
      const step = Math.max(1.5, 3 * (this.times[n + 1] - this.times[n] || 0));
      do g.lineTo(x(this.times[n]), base - tall * this.rows[n][c] / 255);
      while (++n < this.times.length && this.times[n] - this.times[n - 1] < step);
      g.lineTo(x(this.times[n - 1]), base);
      g.fill();
    }
    for (const bar of bars) this.bar(g, bar, x, now, w, look);
  }

  bar(g, bar, x, now, w, look) {
    const left = Math.max(-4, x(bar.start)), wide = Math.max(2, Math.min(w, x(bar.end ?? now)) - left);
    g.fillStyle = look.found;
    g.globalAlpha = bar.score == null ? 1 : 0.5 + 0.5 * Math.min(1, bar.score);
    if (bar.end === null) for (let p = left; p < left + wide; p += 7) g.fillRect(p, 3, Math.min(5, left + wide - p), 7);
    else { g.beginPath(); g.roundRect(left, 3, wide, 7, 2); g.fill(); }
    g.globalAlpha = 1;
  }

  times_of_day(from, now, w, look) {
    const g = paper(this.axis.canvas, w, 24), range = now - from;
    const step = [5, 10, 15, 30, 60, 120, 300].find(s => w * s / range > 86) || 600;
    g.font = "12px system-ui, sans-serif"; g.textBaseline = "top";
    for (let t = Math.ceil(from / step) * step; t <= now; t += step) {
      const at = (t - from) / range * w, words = clock(t), wide = g.measureText(words).width;
      g.fillStyle = look.rule; g.fillRect(Math.min(w - 1, at), 0, 1, 5);
      if (at + wide / 2 > w || at - wide / 2 < 0) continue;
      g.fillStyle = look.quiet; g.fillText(words, at - wide / 2, 8);
    }
  }

  remove() { watcher.unobserve(this.element); this.element.remove(); }
}

// The context of a canvas of as many pixels as the screen has; sizes are CSS pixels.
function paper(canvas, w, h) {
  const k = devicePixelRatio || 1;
  if (canvas.width !== Math.round(w * k) || canvas.height !== Math.round(h * k)) {
    canvas.width = Math.round(w * k); canvas.height = Math.round(h * k);
  }
  const g = canvas.getContext("2d");
  g.setTransform(k, 0, 0, k, 0, 0);
  g.clearRect(0, 0, w, h);
  return g;
}
function firstFrom(times, t) {
  let low = 0, high = times.length;
  while (low < high) { const middle = (low + high) >> 1; if (times[middle] < t) low = middle + 1; else high = middle; }
  return low;
}
function clock(seconds) { return new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }); }
function long(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 120) return s + " s";
  return s < 7200 ? Math.floor(s / 60) + " min" : Math.floor(s / 3600) + " h";
}
// Stripes for times without pictures.
function hatch(colour) {
  const canvas = page.make("canvas", { width: 8, height: 8 }), g = canvas.getContext("2d");
  g.strokeStyle = colour; g.lineWidth = 2;
  for (const [a, b] of [[-2, 2], [6, 10]]) { g.beginPath(); g.moveTo(a, 10); g.lineTo(b + 8, -2); g.stroke(); }
  g.beginPath(); g.moveTo(-2, 2); g.lineTo(2, -2); g.stroke();
  return g.createPattern(canvas, "repeat");
}
let look = null;
function colours() {
  const found = Object.fromEntries(["quiet", "rule", "found", "scores"].map(name => [name, page.colour(name)]));
  return { ...found, hatch: hatch(found.rule) };
}

const watcher = new IntersectionObserver(entries => {
  for (const entry of entries) for (const card of live.cards.values()) if (card.element === entry.target) card.isVisible = entry.isIntersecting;
}, { rootMargin: "100px" });

function whole(told) {
  // Another run, or this one after a while in which no news came: all that is known is told anew.
  for (const card of live.cards.values()) card.remove();
  live.cards.clear();
  live.run = told.run;
  live.classes = told.classes;
  if (!whole.asked) { whole.asked = true; element("quiet").checked = live.classes.length <= 8 && innerWidth > 640; }
  element("events").querySelector("tbody").replaceChildren();
  facts([["engine", told.engine], ["wsgn", told.version]]);
  changes(told);
  labels();
}

function changes(told) {
  live.heard = Date.now();
  live.offsets = [...live.offsets.slice(-30), told.now - live.heard / 1000];
  live.pictures = told.pictures || live.pictures;
  for (const source of told.sources) {
    if (!live.cards.has(source.name)) add(source.name);
    live.cards.get(source.name).take(source);
  }
  const names = new Set(told.names);
  for (const [name, card] of live.cards) if (!names.has(name)) { card.remove(); live.cards.delete(name); }
  // In the order of the run, whichever was heard of first.
  told.names.forEach((name, n) => {
    const card = live.cards.get(name), there = element("sources").children[n];
    if (card && there !== card.element) element("sources").insertBefore(card.element, there || null);
  });
  told.lines.forEach(line);
  const states = [...live.cards.values()].map(card => card.status.state), plays = states.filter(state => state === "playing" || state === "late").length;
  link("on", `${plays} of ${states.length} ${states.length === 1 ? "source plays" : "sources play"}`);
  document.title = `${plays}/${states.length} live - wsgn`;
  if (told.waits !== undefined && told.waits !== null) fact("wait for the engine", told.waits < 1 ? Math.round(told.waits * 1000) + " ms" : told.waits.toFixed(1) + " s");
}

function add(name) {
  const card = new Card(name);
  live.cards.set(name, card);
  element("sources").append(card.element);
}

// All names as wide as the longest, within reason, so that times stand below each other.
function labels() {
  const names = document.querySelectorAll("#sources .lane:not(.axis) > span");
  const wide = Math.min(200, Math.max(70, ...[...names].map(one => one.scrollWidth + 2)));
  for (const card of live.cards.values()) card.lanes.style.setProperty("--labels", wide + "px");
}

function facts(pairs) {
  element("facts").replaceChildren();
  for (const [name, value] of pairs) if (value) fact(name, value);
}
function fact(name, value) {
  const known = [...element("facts").children].find(one => one.firstChild.textContent === name);
  if (known) known.lastChild.textContent = value;
  else element("facts").append(page.make("div", {}, page.make("dt", { text: name }), page.make("dd", { text: value })));
}

function line(told) {
  const what = page.make("td"), bad = told.type === "error" || told.state === "lost" || told.state === "late" || told.state === "waiting" || told.type === "warning";
  if (told.label) what.append(page.make("b", { text: told.label }), " ");
  what.append(page.make("span", { text: told.words, className: bad ? "bad" : told.label ? "" : "quiet" }));
  if (told.score !== undefined) what.append("  ·  " + told.score.toFixed(2));
  const row = page.make("tr", {}, page.make("td", { text: clock(told.at), title: new Date(told.at * 1000).toLocaleString() }), page.make("td", { text: told.source || "" }), what);
  const body = element("events").querySelector("tbody");
  body.prepend(row);
  while (body.rows.length > MOST_LINES) body.lastChild.remove();
  element("no-events").hidden = true;
}

function link(kind, words) {
  const said = element("link");
  if (said.textContent !== words) said.textContent = words;
  said.className = "link " + kind;
}

function connect() {
  const source = new EventSource("updates");
  source.addEventListener("state", message => whole(JSON.parse(message.data)));
  source.addEventListener("changes", message => changes(JSON.parse(message.data)));
  source.addEventListener("error", () => {
    link("off", "no connection: trying again");
    // A browser tries again by itself, but not where it was answered with an error.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
  });
}

function span(seconds) {
  live.span = seconds;
  for (const button of document.querySelectorAll(".spans button")) button.setAttribute("aria-pressed", String(Number(button.dataset.seconds) === seconds));
  redraw();
}
function redraw() { for (const card of live.cards.values()) card.drawn = 0; }

for (const button of document.querySelectorAll(".spans button")) button.addEventListener("click", () => span(Number(button.dataset.seconds)));
element("quiet").addEventListener("change", redraw);
page.onLook(() => { look = null; redraw(); labels(); });
span(60);
setInterval(() => {
  for (const card of live.cards.values()) card.tick();
  if (live.heard && Date.now() - live.heard > LOST_SECONDS * 1000) link("off", "no news for " + long((Date.now() - live.heard) / 1000));
}, 1000);
(function frame(at) {
  look ||= colours();
  const visible = [...live.cards.values()].filter(card => card.isVisible), now = Date.now();
  const wait = Math.max(200, visible.length / live.pictures * 1000);
  for (const card of visible) { card.draw(at, look); card.picture(now, wait); }
  requestAnimationFrame(frame);
})(0);
connect();
