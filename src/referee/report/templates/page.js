// Sorts any table with buttons in its headings, filters the claims, opens what a link leads to.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const text = row => row.cells[column].textContent.trim();
    const numeric = head.classList.contains("n");
    const compare = (a, b) => numeric ? parseFloat(a) - parseFloat(b)
      : a.localeCompare(b, "en", {numeric: true});
    const order = (a, b) => !text(a) - !text(b) || sign * compare(text(a), text(b));
    body.append(...[...body.rows].sort(order)); // empty cells stay last
  }));
}

const filter = document.querySelector(".filter"), find = document.querySelector(".find");
if (filter) {
  const buttons = [...filter.querySelectorAll("button")], search = find.querySelector("input");
  const rows = [...document.querySelector("#claims").tBodies[0].rows];
  const show = () => {
    const verdict = buttons.find(b => b.getAttribute("aria-pressed") === "true").value;
    const words = search.value.toLowerCase();
    for (const row of rows) {
      row.hidden = (verdict && row.dataset.verdict !== verdict)
        || !row.textContent.toLowerCase().includes(words);
    }
    const count = rows.filter(row => !row.hidden).length;
    find.querySelector("[role=status]").textContent = `${count} shown`;
  };
  search.addEventListener("input", show);
  buttons.forEach(button => button.addEventListener("click", () => {
    buttons.forEach(b => b.setAttribute("aria-pressed", b === button));
    show();
  }));
  filter.hidden = find.hidden = false;
  show();
}

const open = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  target?.scrollIntoView();
};
addEventListener("hashchange", open);
open();
