"use strict";
// Everything is written with textContent: what a manifest or a server said is never read as HTML.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const rows = data.rows;
  const body = document.getElementById("rows");
  if (!body || !rows.length) return;
  const [PAGE, PRINTED] = [200, 3000];
  const DIRECTIONS = ["▲ loosens", "• neutral", "▼ tightens"];
  const TONES = ["bad", "", "good"];
  const byId = (id) => document.getElementById(id);
  const controls = ["search", "direction", "kind", "order", "binding"].map(byId);
  const [search, direction, kind, order, binding] = controls;
  const numbers = new Intl.NumberFormat("en-US");
  const words = (value) => (typeof value === "number" ? numbers.format(value) : value === null ? "" : value);
  // Columns: direction, kind, account, firm, product, leg, before, after, effect, use, file, line, binding.
  const text = (table, index) => (index < 0 ? "" : data[table][index]);
  const lowered = {};
  for (const table of ["accounts", "firms", "products"]) lowered[table] = data[table].map((one) => one.toLowerCase());

  let shown = rows;
  let page = 0;

  function cell(line, value, name) {
    const made = document.createElement("td");
    made.setAttribute("role", "cell");
    made.textContent = value;
    if (name) made.className = name;
    line.appendChild(made);
  }

  function draw(first, last) {
    const part = document.createDocumentFragment();
    for (const row of shown.slice(first, last)) {
      const line = document.createElement("tr");
      line.setAttribute("role", "row");
      line.className = TONES[row[0]];
      cell(line, DIRECTIONS[row[0]]);
      cell(line, text("accounts", row[2]));
      cell(line, text("firms", row[3]));
      cell(line, text("products", row[4]));
      cell(line, row[5]);
      cell(line, words(row[6]), "right");
      cell(line, words(row[7]), "right");
      cell(line, row[8]);
      cell(line, words(row[9]), "right");
      cell(line, row[10] < 0 ? "" : `${data.files[row[10]]}:${row[11]}`, "quiet");
      part.appendChild(line);
    }
    body.replaceChildren(part);
  }

  function show() {
    const pages = Math.max(1, Math.ceil(shown.length / PAGE));
    page = Math.min(page, pages - 1);
    draw(page * PAGE, (page + 1) * PAGE);
    const cut = shown.length === rows.length ? "" : ` of ${words(rows.length)}`;
    byId("count").textContent = `${words(shown.length)}${cut} ${rows.length === 1 ? "change" : "changes"}`;
    byId("page").textContent = `Page ${words(page + 1)} of ${words(pages)}`;
    byId("previous").disabled = page === 0;
    byId("next").disabled = page === pages - 1;
    byId("pages").hidden = pages === 1;
  }

  function filter() {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    // Which account, firm and product each word is found in, once; the rows then only look it up.
    const found = wanted.map((word) => Object.fromEntries(Object.entries(lowered).map(([table, all]) => [table, all.map((one) => one.includes(word))])));
    const [way, what] = [direction.value, kind.value];
    shown = rows.filter(
      (row) =>
        (way === "" || row[0] === +way) &&
        (what === "" || row[1] === +what) &&
        (!binding.checked || row[12]) &&
        found.every((hit) => hit.accounts[row[2]] || (row[3] >= 0 && hit.firms[row[3]]) || (row[4] >= 0 && hit.products[row[4]])),
    );
    const place = { account: 2, product: 4 }[order.value];
    if (place) shown.sort((one, other) => one[place] - other[place]);
    page = 0;
    show();
  }

  for (const control of controls) control.addEventListener("input", filter);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("previous").addEventListener("click", () => { page -= 1; show(); });
  byId("next").addEventListener("click", () => { page += 1; show(); });
  addEventListener("beforeprint", () => {
    draw(0, PRINTED);
    if (shown.length > PRINTED) byId("count").textContent += `; the first ${words(PRINTED)} are printed`;
  });
  addEventListener("afterprint", show);
  byId("filters").hidden = false;
  show();
})();
