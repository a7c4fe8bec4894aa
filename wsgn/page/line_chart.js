
"use strict";
// Draws every figure.chart of a page as SVG, as wide as it is, with a reading under the pointer.
(() => {
  const HEIGHT = 240, LEFT = 54, RIGHT = 12, TOP = 10, BOTTOM = 40;
  const make = (tag, attributes, words) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (words !== undefined) element.textContent = words;
    return element;
  };
  const short = v => Math.abs(v) >= 1e5 || (v && Math.abs(v) < 1e-3) ? v.toExponential(0) : String(+v.toPrecision(3));
  const extent = lists => {
    let low = Infinity, high = -Infinity;
    for (const list of lists) for (const v of list) { if (v < low) low = v; if (v > high) high = v; }
    return low > high ? [0, 1] : low === high ? [low - Math.abs(low) * .1 - 1e-9, high + Math.abs(high) * .1 + 1e-9] : [low, high];
  };
  function ticks(low, high, log, most) {
    const found = [];
    if (log) {
      for (let p = Math.ceil(low - 1e-9); p <= high; p++) found.push(p);
      if (found.length >= 3) return found;
      found.length = 0;
      // Less than two powers of ten: whole multiples of them, as few as will do.
      for (const parts of [[1, 2, 5], [1, 2, 3, 4, 6, 8]]) {
        for (let p = Math.floor(low); p <= high; p++) for (const n of parts) found.push(p + Math.log10(n));
        const inside = found.filter(v => v >= low && v <= high);
        if (inside.length >= 3) return inside;
        found.length = 0;
      }
    }
    const step = page.step(high - low, most);
    for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + step * 1e-9; v += step) found.push(v);
    return found;
  }
  function draw(figure, data) {
    figure.querySelectorAll("svg, .legend").forEach(old => old.remove());
    const width = Math.max(240, figure.clientWidth), inner = width - LEFT - RIGHT, tall = HEIGHT - TOP - BOTTOM;
    const scale = v => data.log ? Math.log10(v) : v;
    const [x0, x1] = extent(data.lines.map(l => l.x));
    const [y0, y1] = data.limits || extent(data.lines.map(l => l.y.map(scale)));
    const x = v => LEFT + (v - x0) / (x1 - x0) * inner, y = v => TOP + (y1 - scale(v)) / (y1 - y0) * tall;
    const svg = make("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, role: "img", "aria-label": data.title });
    for (const v of ticks(y0, y1, data.log, 5)) {
      const at = TOP + (y1 - v) / (y1 - y0) * tall;
      svg.append(make("line", { class: "rule", x1: LEFT, x2: width - RIGHT, y1: at, y2: at }));
      svg.append(make("text", { x: LEFT - 8, y: at + 4, "text-anchor": "end" }, short(data.log ? 10 ** v : v)));
    }
    for (const v of ticks(x0, x1, false, inner / 64))
      svg.append(make("text", { x: x(v), y: HEIGHT - BOTTOM + 18, "text-anchor": "middle" }, short(v)));
    svg.append(make("text", { x: LEFT + inner / 2, y: HEIGHT - 4, "text-anchor": "middle" }, data.x + (data.y ? " · " + data.y : "")));
    data.lines.forEach((line, i) => {
      const colour = `var(--series-${i % 7})`;
      if (line.dots || line.x.length === 1)
        line.x.forEach((v, n) => svg.append(make("circle", { cx: x(v), cy: y(line.y[n]), r: 3.5, fill: colour })));
      if (line.x.length > 1)
        svg.append(make("path", { class: "line", stroke: colour, d: path(line, x, y, inner) }));
    });
    const reading = make("line", { class: "reading", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
    svg.append(reading);
    const legend = page.make("ul", { className: "legend" });
    const values = data.lines.map((line, i) => {
      const mark = page.make("i"), words = page.make("span", { text: line.name });
      mark.style.setProperty("--swatch", `var(--series-${i % 7})`);
      legend.append(page.make("li", {}, mark, words));
      return words;
    });
    const read = at => {
      reading.setAttribute("visibility", at === null ? "hidden" : "visible");
      if (at !== null) { reading.setAttribute("x1", x(at)); reading.setAttribute("x2", x(at)); }
      data.lines.forEach((line, i) => {
        const n = at === null || !line.x.length ? -1 : nearest(line.x, at);
        values[i].textContent = line.name + (n < 0 ? "" : `: ${short(line.y[n])} at ${short(line.x[n])}`);
      });
    };
    svg.addEventListener("pointermove", e => {
      const box = svg.getBoundingClientRect(), at = x0 + (e.clientX - box.left - LEFT) / inner * (x1 - x0);
      read(Math.min(x1, Math.max(x0, at)));
    });
    svg.addEventListener("pointerleave", () => read(null));
    figure.append(svg, legend);
  }
  // With thousands of points, the least and the most of every pixel.
  function path(line, x, y, inner) {
    const total = line.x.length;
    let d = "", last = null, low = 0, high = 0;
    const put = n => { d += (d ? "L" : "M") + x(line.x[n]).toFixed(1) + " " + y(line.y[n]).toFixed(1); };
    if (total < 3 * inner) { for (let n = 0; n < total; n++) put(n); return d; }
    for (let n = 0; n < total; n++) {
      const pixel = Math.floor(x(line.x[n]));
      if (pixel !== last) {
        if (last !== null) { put(Math.min(low, high)); put(Math.max(low, high)); }
        last = pixel; low = high = n;
      }
      if (line.y[n] < line.y[low]) low = n;
      if (line.y[n] > line.y[high]) high = n;
    }
    put(Math.min(low, high)); put(Math.max(low, high));
    return d;
  }
  function nearest(list, at) {
    let low = 0, high = list.length - 1;
    while (high - low > 1) { const middle = (low + high) >> 1; if (list[middle] < at) low = middle; else high = middle; }
    return at - list[low] < list[high] - at ? low : high;
  }
  for (const figure of document.querySelectorAll("figure.chart")) {
    const data = page.island(figure), again = page.later(() => draw(figure, data));
    draw(figure, data);
    page.onLook(again);
  }
})();
