
"use strict";
// A video, its lanes and its list: whatever moves one moves the others.
(() => {
  const find = id => document.getElementById(id), video = find("video"), note = find("note");
  const data = page.data, offset = data.offset;
  let plays = Boolean(video), chosen = "";
  const lanes = new Lanes(document.querySelector(".lanes"), seek);
  const now = () => plays ? video.currentTime - offset : lanes.now;
  function seek(seconds) {
    seconds = Math.min(lanes.end, Math.max(lanes.begin, seconds));
    if (plays) video.currentTime = seconds + offset;
    show(seconds);
  }
  function show(seconds) { lanes.moveTo(seconds); mark(seconds); }

  // What is found, in the order of time.
  const all = lanes.lanes.flatMap(lane => lane.found.map(bar => ({ label: lane.label, bar })));
  all.sort((a, b) => a.bar[0] - b.bar[0] || a.bar[1] - b.bar[1]);
  const body = find("list").querySelector("tbody"), least = find("least");
  const decimals = lanes.end < 36000 ? 1 : 0;
  // When it began, on the clock of who looks as everything else.
  if (find("began")) find("began").textContent = new Date(lanes.clock * 1000).toLocaleString();
  let listed = [], rest = 0;
  function row(one) {
    const [start, end, score] = one.bar, strength = page.make("span", { className: "strength" }, page.make("i"));
    strength.firstChild.style.width = Math.round(100 * Math.min(1, Math.max(0, score || 0))) + "%";
    // One of them is reached by Tab, the others from it by the arrows.
    const made = page.make("tr", { tabIndex: rest ? -1 : 0 },
      page.make("td", { text: one.label }),
      page.make("td", { className: "number", text: lanes.say(start, decimals) }),
      page.make("td", { className: "number", text: lanes.say(end, decimals) }),
      page.make("td", { className: "number" }, strength, score == null ? "" : score.toFixed(2)));
    made.onclick = () => seek(start);
    made.onkeydown = e => {
      const other = e.key === "ArrowDown" ? made.nextElementSibling : e.key === "ArrowUp" ? made.previousElementSibling : null;
      if (other) { other.focus(); seek(listed[[...body.rows].indexOf(other)].bar[0]); }
      else if (e.key === "Enter") { seek(start); play(); }
      else return;
      e.preventDefault();
    };
    one.row = made;
    return made;
  }
  // The first rows at once, the others when there is time.
  function fill(number) {
    const rows = document.createDocumentFragment();
    for (const end = Math.min(listed.length, rest + number); rest < end; rest++) rows.append(row(listed[rest]));
    body.append(rows);
    if (rest < listed.length) (window.requestIdleCallback || (work => setTimeout(work, 30)))(() => { if (rest < listed.length) fill(300); });
  }
  function filter() {
    const from = +least.value;
    lanes.shows = bar => (bar[2] == null || bar[2] >= from) && (!bar[3] || find("all").checked);
    find("least-said").textContent = from.toFixed(2);
    listed = all.filter(one => lanes.shows(one.bar) && (!chosen || one.label === chosen));
    body.textContent = "";
    rest = 0;
    fill(60);
    find("count").textContent = listed.length;
    if (!listed.length) body.append(page.make("tr", {}, page.make("td", { className: "none", colSpan: 4, text: all.length ? "None is left by these filters." : "No segment was found." })));
    lanes.redraw();
    mark(now());
  }
  let marked = [];
  function mark(seconds) {
    const on = listed.filter(one => one.bar[0] <= seconds + 1e-3 && seconds < one.bar[1] && one.row);
    if (on.length === marked.length && on.every((one, n) => one === marked[n])) return;
    for (const one of marked) if (one.row) one.row.classList.remove("on");
    for (const one of on) one.row.classList.add("on");
    marked = on;
    const box = find("list");
    if (on.length && !box.matches(":hover") && !box.contains(document.activeElement)) {
      const top = on[0].row.offsetTop - 40;
      if (top < box.scrollTop || top > box.scrollTop + box.clientHeight - 80) box.scrollTop = top;
    }
  }

  least.oninput = page.later(filter);
  find("all").onchange = filter;
  find("all-label").hidden = !all.some(one => one.bar[3]);
  if (find("class")) find("class").onchange = e => { chosen = e.target.value; filter(); };
  const empty = lanes.lanes.filter(lane => lane.row.classList.contains("empty"));
  function hideEmpty() {
    for (const lane of empty) lane.row.hidden = !find("empty").checked;
    lanes.redraw();
  }
  find("empty-label").hidden = !empty.length || empty.length === lanes.lanes.length;
  find("empty").checked = lanes.lanes.length <= 24 || find("empty-label").hidden;
  find("empty").onchange = hideEmpty;
  find("in").onclick = () => lanes.zoom(0.5);
  find("out").onclick = () => lanes.zoom(2);
  find("whole").onclick = () => lanes.whole();
  hideEmpty();
  filter();

  function next(direction) {
    const at = now(), starts = listed.map(one => one.bar[0]);
    const found = direction > 0 ? starts.find(t => t > at + 0.05) : starts.reverse().find(t => t < at - 0.05);
    if (found !== undefined) seek(found);
  }
  // A pause that follows at once, or a browser that wants a click first, is no error.
  function play() { if (plays) video.play().catch(() => {}); }
  function toggle() { if (plays && !video.paused) video.pause(); else play(); }
  const KEYS = {
    ArrowLeft: e => seek(now() - (e.shiftKey ? 10 : 1)), ArrowRight: e => seek(now() + (e.shiftKey ? 10 : 1)),
    ",": () => seek(now() - data.frame), ".": () => seek(now() + data.frame),
    n: () => next(1), p: () => next(-1), N: () => next(1), P: () => next(-1), k: toggle, " ": toggle,
    "+": () => lanes.zoom(0.5), "=": () => lanes.zoom(0.5), "-": () => lanes.zoom(2), 0: () => lanes.whole(),
    Home: () => seek(lanes.begin), End: () => seek(lanes.end),
  };
  addEventListener("keydown", e => {
    const work = KEYS[e.key], at = e.target.closest("input, select, textarea, button, summary, a, video");
    if (!work || e.ctrlKey || e.metaKey || e.altKey) return;
    // These have keys of their own; a checkbox has only the space bar.
    if (at && !(at.type === "checkbox" && e.key !== " ") && !(at.tagName === "VIDEO" && "npNP0+=-,.".includes(e.key)) && !(/^(BUTTON|A|SUMMARY)$/.test(at.tagName) && e.key !== " ")) return;
    e.preventDefault();
    work(e);
  });

  // #t=12.5, as others link it.
  const linked = () => { const found = /(?:^|[#&])t=([\d.]+)/.exec(location.hash); return found ? +found[1] : null; };
  function link() { try { history.replaceState(null, "", "#t=" + now().toFixed(2).replace(/\.?0+$/, "")); } catch (_) { /* a viewer without addresses */ } }
  addEventListener("hashchange", () => { if (linked() !== null) seek(linked()); });
  if (video) {
    const start = linked();
    video.onloadedmetadata = () => { if (start !== null) seek(start); else if (offset > 0) seek(lanes.begin); };
    video.onseeked = () => { show(now()); link(); };
    video.onpause = link;
    video.ontimeupdate = () => mark(now());
    video.onerror = () => {
      plays = false;
      video.hidden = true;
      document.querySelector(".watch").classList.add("blind");
      note.textContent = "This browser cannot play the video" + (data.video.startsWith("data:") ? "" : ", or it is no longer where it was") + ": the lanes work without it.";
      note.classList.add("bad");
      if (start !== null) seek(start);
    };
    (function step() { if (plays && !video.paused) lanes.moveTo(now()); requestAnimationFrame(step); })();
    video.src = data.video;
  } else if (linked() !== null) seek(linked());
  // For who measures it.
  document.documentElement.dataset.drawn = performance.now().toFixed(0);
})();
