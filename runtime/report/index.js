
"use strict";
// Sorts the table by a click on a heading, and finds rows by what they say.
(() => {
  const table = document.querySelector("table"), body = table.tBodies[0], rows = [...body.rows];
  const value = cell => cell.dataset.sort !== undefined ? +cell.dataset.sort : cell.textContent.trim();
  const compare = (a, b) => typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
  table.tHead.querySelectorAll("button").forEach(button => {
    button.onclick = () => {
      const head = button.parentElement, down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const sorted = [...rows].sort((a, b) => (down ? -1 : 1) * compare(value(a.cells[head.cellIndex]), value(b.cells[head.cellIndex])));
      body.append(...sorted);
    };
  });
  const field = document.getElementById("find"), texts = rows.map(row => row.textContent.toLowerCase());
  field.oninput = page.later(() => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, n) => { row.hidden = !words.every(word => texts[n].includes(word)); shown += !row.hidden; });
    document.getElementById("shown").textContent = words.length ? `${shown} of ${rows.length}` : "";
  });
})();
