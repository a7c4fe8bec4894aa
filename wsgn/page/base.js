
"use strict";
// What the scripts of all pages share. Text goes into a page by textContent alone.
const page = {
  data: JSON.parse(document.getElementById("page-data").textContent),
  // The JSON that stands inside a part.
  island(element) {
    return JSON.parse(element.querySelector('script[type="application/json"]').textContent);
  },
  make(tag, properties, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties || {})) {
      if (name === "text") element.textContent = value;
      else if (name in element && name !== "style") element[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  },
  // A colour of style.css by its name.
  colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  },
  // 1:02:03.4; as many decimals as asked for.
  clock(seconds, decimals) {
    const unit = 10 ** (decimals || 0), whole = Math.round(Math.max(0, seconds) * unit);
    const rest = Math.floor(whole / unit), hours = Math.floor(rest / 3600), two = n => String(n).padStart(2, "0");
    const minutes = Math.floor(rest / 60) % 60;
    const head = hours ? hours + ":" + two(minutes) : String(minutes);
    const tail = decimals ? "." + String(whole % unit).padStart(decimals, "0") : "";
    return head + ":" + two(rest % 60) + tail;
  },
  // Seconds since 1970 on the clock of who looks: 14:02:03.4, with the day before it where asked for.
  wall(seconds, decimals, day) {
    const unit = 10 ** (decimals || 0), whole = Math.round(seconds * unit), at = new Date(whole / unit * 1000);
    const words = [at.getHours(), at.getMinutes(), at.getSeconds()].map(n => String(n).padStart(2, "0")).join(":");
    return (day ? page.day(at) + " " : "") + words + (decimals ? "." + String(whole % unit).padStart(decimals, "0") : "");
  },
  day(date) { return date.toLocaleDateString(undefined, { day: "numeric", month: "short" }); },
  // Steps of an axis: about so many, at 1, 2 or 5 of a power of ten.
  step(range, most) {
    const rough = range / Math.max(1, most), power = 10 ** Math.floor(Math.log10(rough));
    return [1, 2, 5, 10].find(n => n * power >= rough) * power;
  },
  // Calls once for many changes, before the next picture.
  later(work) {
    let waits = false;
    return () => { if (!waits) { waits = true; requestAnimationFrame(() => { waits = false; work(); }); } };
  },
  onLook(work) {
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", work);
    addEventListener("resize", work);
  },
};
