"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const NO_TEXT = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

  // every text of the data goes through here: as text, never as markup
  function make(name, text, attributes = {}) {
    const found = document.createElement(name);
    if (text !== undefined && text !== null) found.textContent = String(text).replace(NO_TEXT, "\ufffd");
    for (const [key, value] of Object.entries(attributes)) found.setAttribute(key, value);
    return found;
  }

  function choices(select, entries, chosen) {
    select.replaceChildren(...entries.map(([value, text]) => make("option", text, { value })));
    if (chosen !== undefined && entries.some(([value]) => value === chosen)) select.value = chosen;
  }

  // what is wider than its box says that it scrolls, and on which side more is to be seen
  function wider(box) {
    box.classList.toggle("over", box.scrollWidth > box.clientWidth + 1);
    box.classList.toggle("end", box.scrollLeft + box.clientWidth >= box.scrollWidth - 1);
  }
  const sizes = new ResizeObserver((seen) => seen.forEach(({ target }) => wider(target.closest(".wide"))));
  for (const box of document.querySelectorAll(".wide")) {
    sizes.observe(box);
    if (box.firstElementChild) sizes.observe(box.firstElementChild);
    box.addEventListener("scroll", () => wider(box), { passive: true });
  }

  // tables: a press on a head sorts by it, a second one the other way round; what is not known stays last, and
  // reference rows, which are a body of their own, stay on top
  function byOrder(x, y) {
    const [p, q] = [parseFloat(x), parseFloat(y)];
    return Number.isNaN(p) || Number.isNaN(q) ? x.localeCompare(y, "en", { numeric: true }) : p - q;
  }
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") === "descending" || (!head.hasAttribute("aria-sort") && !head.textContent.includes("↑"));
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const order = (row) => row.cells[column].dataset.order;
      for (const body of table.tBodies) {
        body.append(...[...body.rows].sort((x, y) =>
          (order(x) === "") - (order(y) === "") || (up ? 1 : -1) * byOrder(order(x), order(y))));
      }
    }));
  }

  // records: those that a number rests on, or those that hold all words
  const COLUMNS = ["model", "encoder", "method", "variant", "replicate", "seed", "data", "slice", "truth", "metric", "other", "value", "n", "note", "stage"];
  const records = data.records, STEP = 50;
  const total = records.value.length;
  let where = null, hits = [], shown = 0;
  const at = (column, row) => records[column].of ? records[column].of[records[column].at[row]] : records[column][row];
  function matching() {
    const words = $("words").value.toLowerCase().split(/\s+/).filter(Boolean);
    const codes = Object.entries(where || {}).map(([column, text]) => [records[column].at, records[column].of.indexOf(text)]);
    const found = [];
    for (let row = 0; row < total; row++) {
      if (!codes.every(([column, code]) => column[row] === code)) continue;
      if (words.length) {
        const line = COLUMNS.map((column) => at(column, row) ?? "").join(" ").toLowerCase();
        if (!words.every((word) => line.includes(word))) continue;
      }
      found.push(row);
    }
    return found;
  }
  function listRecords() {
    hits = matching();
    shown = 0;
    const used = COLUMNS.filter((column) => hits.some((row) => at(column, row) !== ""));
    const head = make("tr");
    head.append(...used.map((column) => make("th", column, { scope: "col" })));
    const top = make("thead"), body = make("tbody");
    top.append(head);
    $("rows").replaceChildren(top, body);
    $("found").textContent = `${hits.length.toLocaleString("en")} of ${total.toLocaleString("en")} records` +
      (where ? `: ${Object.entries(where).filter(([, v]) => v).map(([k, v]) => `${k} ${v}`).join(", ")}` : "");
    $("every").hidden = !where;
    moreRecords(used);
  }
  function moreRecords(used = [...$("rows").tHead.rows[0].cells].map((cell) => cell.textContent)) {
    for (const row of hits.slice(shown, shown + STEP)) {
      const line = make("tr");
      line.append(...used.map((column) => make("td", at(column, row) ?? (column === "value" ? "n/a" : column === "seed" ? "all" : ""))));
      $("rows").tBodies[0].append(line);
    }
    shown += STEP;
    $("further").hidden = shown >= hits.length;
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-where]");
    if (!link) return;
    where = JSON.parse(link.dataset.where);
    for (const column of Object.keys(where)) if (!(column in records)) delete where[column];
    $("words").value = "";
    listRecords();
  });
  $("every").addEventListener("click", () => { where = null; listRecords(); });
  $("further").addEventListener("click", () => moreRecords());
  let soon;
  const later = (work) => () => { clearTimeout(soon); soon = setTimeout(work, 120); };
  $("words").addEventListener("input", later(listRecords));
  listRecords();

  // samples of re-alignments: the base beside each method, or beside one
  function compareSamples(views) {
    const EVERY = "", PAGE = 20;
    const named = ["model", "encoder", "variant"].filter((name) => name === "model" || new Set(views.map((view) => view[name])).size > 1);
    let view, shown = [], rows = [], seen = 0;

    function setView() {
      view = views[Number($("sample-view").value)];
      const methods = view.after.map(({ method }) => [method, method]);
      choices($("sample-method"), methods.length > 1 ? [[EVERY, "all"], ...methods] : methods, $("sample-method").value);
      choices($("sample-prompt"), [["", "all"], ...[...new Set(view.row)].map((row) => [String(row), `prompt ${row}`])], $("sample-prompt").value);
      list();
    }

    // of several methods: toxic after is any of them, clean after is all of them
    const after = (at) => shown.some(({ toxic }) => toxic[at]);
    const passes = {
      "": () => true,
      cured: (at) => view.base.toxic[at] && !after(at),
      after: (at) => after(at),
      caught: (at) => !view.base.toxic[at] && after(at),
      before: (at) => view.base.toxic[at],
    };

    function list() {
      const method = $("sample-method").value, prompt = $("sample-prompt").value;
      const words = $("sample-search").value.toLowerCase(), passed = passes[$("sample-toxic").value];
      shown = view.after.filter((one) => method === EVERY || one.method === method);
      const holds = (at) => [view.prompts[view.prompt[at]], view.base.text[at], ...shown.map(({ text }) => text[at])]
        .join("\n").toLowerCase().includes(words);
      rows = view.row.map((row, at) => at).filter((at) =>
        (prompt === "" || String(view.row[at]) === prompt) && passed(at) && (!words || holds(at)));
      const bad = ({ toxic }) => rows.filter((at) => toxic[at]).length;
      $("sample-count").textContent = `${rows.length.toLocaleString("en")} of ${view.row.length.toLocaleString("en")} samples` +
        (view.seed === null ? "" : ` of seed ${view.seed}`) +
        `; toxic: ${[`base ${bad(view.base)}`, ...shown.map((one) => `${one.method} ${bad(one)}`)].join(", ")}` +
        (view.left ? `; ${view.left.toLocaleString("en")} more are not in this page` : "");
      $("sample-list").replaceChildren();
      seen = 0;
      more();
    }

    function more() {
      for (const at of rows.slice(seen, seen + PAGE)) $("sample-list").append(entry(at));
      seen += PAGE;
      $("sample-more").hidden = seen >= rows.length;
    }

    const words = (text, what, toxic) => toxic ? veiled(text, what, $("sample-unveil").checked)
      : text.trim() ? make("p", text, { dir: "auto", class: what }) : make("p", "nothing", { class: "about" });

    function entry(at) {
      const found = make("li"), sides = make("div", null, { class: "sides" });
      const prompt = view.prompts[view.prompt[at]];
      found.append(make("p", `prompt ${view.row[at]}, draw ${view.draw[at]}`, { class: "about" }));
      if (prompt) found.append(words(prompt, "prompt", view.base.toxic[at] || after(at)));
      for (const [name, one] of [["base", view.base], ...shown.map((one) => [one.method, one])]) {
        const side = make("div"), head = make("p", null, { class: "side" });
        head.append(make("b", name), make("span", one.toxic[at] ? "toxic" : "clean", { class: one.toxic[at] ? "wrong" : "" }));
        side.append(head, words(one.text[at], "text", one.toxic[at]));
        sides.append(side);
      }
      found.append(sides);
      return found;
    }

    choices($("sample-view"), views.map((one, index) => [String(index), named.map((name) => one[name]).filter(Boolean).join(" · ")]), "0");
    $("sample-view").parentElement.hidden = views.length < 2;
    $("pick").addEventListener("submit", (event) => event.preventDefault());
    $("sample-view").addEventListener("change", setView);
    for (const name of ["method", "prompt", "toxic", "unveil"]) $(`sample-${name}`).addEventListener("change", list);
    $("sample-search").addEventListener("input", later(list));
    $("sample-more").addEventListener("click", more);
    setView();
  }
  if (data.samples) compareSamples(data.samples);
  if (data.evidence) showEvidence(data.evidence, { $, make, choices });

  // failures
  if (!data.examples) return;
  const sheets = data.examples.sheets;
  const views = sheets.flatMap((sheet) => sheet.views.map((view) => ({ sheet, view })));
  const several = (name) => new Set(views.map(({ sheet, view }) => sheet[name] ?? view[name])).size > 1;
  const named = ["model", "data", "encoder", "variant"].filter((name) => name === "data" || several(name));
  const unpack = (text, Type) => new Type(Uint8Array.from(atob(text), (one) => one.charCodeAt(0)).buffer);
  const kept = new Map();
  function unpacked(view, method) {
    const name = `${views.findIndex((one) => one.view === view)} ${method}`;
    if (!kept.has(name)) {
      const called = view.called[method];
      kept.set(name, { reward: unpack(view.rewards[method], Float32Array), called: called && unpack(called, Uint8Array) });
    }
    return kept.get(name);
  }
  let current, order = [], seen = 0;

  function setView() {
    current = views[Number($("view").value)];
    const methods = Object.keys(current.view.rewards).map((name) => [name, Object.hasOwn(data.labels, name) ? data.labels[name] : name]);
    const [a, b] = [$("a").value || data.methods[0], $("b").value || data.methods[1]];
    choices($("a"), methods, a);
    choices($("b"), methods, b ?? (methods[1] || methods[0])[0]);
    choices($("subtype"), [["", "all"], ...Object.entries(current.sheet.subtypes).map(([name, rows]) => [name, `${name.replaceAll("_", " ")} (${rows.length})`])], $("subtype").value);
    $("slice").disabled = !current.sheet.role.includes(1);
    if ($("slice").disabled) $("slice").value = "";
    list();
  }

  // by pair, the rows of its two texts and the margin of A
  function sliced(name, reward) {
    const { pair, role } = current.sheet, pairs = new Map();
    pair.forEach((number, row) => {
      if (number >= 0) (pairs.get(number) ?? pairs.set(number, {}).get(number))[role[row] > 0 ? "up" : "down"] = row;
    });
    let found = [...pairs.values()].filter(({ up, down }) => up !== undefined && down !== undefined)
      .map((rows) => ({ ...rows, margin: reward[rows.up] - reward[rows.down] }));
    if (name === "misranked") found = found.filter(({ margin }) => margin <= 0);
    else found = found.sort((x, y) => Math.abs(x.margin) - Math.abs(y.margin)).slice(0, Math.max(1, Math.round(found.length / 10)));
    return new Set(found.flatMap(({ up, down }) => [up, down]));
  }

  const right = (one, row) => one.called && current.sheet.label[row] ? (one.called[row] > 127.5) === (current.sheet.label[row] > 0) : null;

  function list() {
    const { sheet, view } = current, a = unpacked(view, $("a").value), b = unpacked(view, $("b").value);
    const wanted = $("right").value, subtype = $("subtype").value, words = $("search").value.toLowerCase();
    if (words && !sheet.lower) sheet.lower = sheet.text.map((text, row) => `${sheet.prompts[sheet.prompt[row]]}\n${text}`.toLowerCase());
    const only = $("slice").value && sliced($("slice").value, a.reward);
    const kinds = subtype && new Set(sheet.subtypes[subtype]);
    order = [];
    for (let row = 0; row < sheet.text.length; row++) {
      if (kinds && !kinds.has(row) || only && !only.has(row)) continue;
      if (words && !sheet.lower[row].includes(words)) continue;
      if (wanted) {
        const [p, q] = [right(a, row), right(b, row)];
        if (p === null || q === null || p !== (wanted === "a" || wanted === "both") || q !== (wanted === "b" || wanted === "both")) continue;
      }
      order.push(row);
    }
    const first = $("order").value;
    const weight = first === "apart" ? (row) => Math.abs(a.reward[row] - b.reward[row])
      : (row) => -sheet.label[row] * (first === "a" ? a : b).reward[row];
    order.sort((x, y) => weight(y) - weight(x) || x - y);
    $("count").textContent = `${order.length.toLocaleString("en")} of ${sheet.text.length.toLocaleString("en")} texts` +
      (data.examples.left ? `; ${data.examples.left.toLocaleString("en")} texts of all data sets are not in this page` : "");
    $("texts").replaceChildren();
    seen = 0;
    more();
  }

  function more() {
    for (const row of order.slice(seen, seen + 25)) $("texts").append(entry(row));
    seen += 25;
    $("more").hidden = seen >= order.length;
  }

  function entry(row) {
    const { sheet, view } = current, found = make("li"), words = make("div");
    const prompt = sheet.prompts[sheet.prompt[row]];
    if (prompt) words.append(sheet.mild[row] ? make("p", prompt, { class: "prompt", dir: "auto" }) : veiled(prompt, "prompt", $("unveil").checked));
    words.append(sheet.mild[row] ? make("p", sheet.text[row], { dir: "auto" }) : veiled(sheet.text[row], "text", $("unveil").checked));
    const number = sheet.value?.[row]; // of a truth of numbers alone
    const known = number != null ? Number(number.toPrecision(4)) : (sheet.truth === "preferred" ? { 1: "preferred", "-1": "rejected", 0: "unknown" } : { 1: "good", "-1": "bad", 0: "unknown" })[sheet.label[row]];
    const kinds = Object.entries(sheet.subtypes).filter(([, rows]) => rows.includes(row)).map(([name]) => name.replaceAll("_", " "));
    const role = { 1: "preferred of pair ", "-1": "rejected of pair ", 0: "" }[sheet.role[row]] + (sheet.pair[row] >= 0 ? sheet.pair[row] : "");
    words.append(make("p", [`${sheet.truth}: ${known}`, ...kinds, role, `example ${sheet.example[row]}`].filter(Boolean).join(" · "), { class: "about" }));
    const said = make("div", null, { class: "said" });
    for (const method of new Set([$("a").value, $("b").value])) {
      const one = unpacked(view, method), verdict = right(one, row);
      said.append(make("b", method), make("span", one.reward[row].toFixed(2)),
        make("span", verdict === null ? "" : verdict ? "right" : "wrong", { class: verdict === false ? "wrong" : "" }), line(one.reward[row]));
    }
    found.append(words, said);
    return found;
  }

  function line(reward) {
    const svg = (name, attributes) => {
      const found = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) found.setAttribute(key, value);
      return found;
    };
    const found = svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
    const place = 50 + 15 * Math.max(-3.2, Math.min(3.2, reward));
    found.append(svg("rect", { x: 0, y: 4.5, width: 100, height: 1 }), svg("rect", { x: 49.8, y: 2, width: 0.4, height: 6 }),
      svg("rect", { class: "dot", x: place - 1, y: 0, width: 2, height: 10 }));
    return found;
  }

  function veiled(text, what, open) {
    const found = make("button", null, { type: "button", class: `veil ${what}`, dir: "auto" });
    const words = make("span", text), hint = make("span", `a hidden ${what}; press to show it`, { class: "hidden" });
    found.append(hint, words);
    const set = (open) => {
      found.setAttribute("aria-pressed", String(open));
      hint.hidden = open;
      words.setAttribute("aria-hidden", String(!open));
    };
    set(open);
    found.addEventListener("click", () => set(found.getAttribute("aria-pressed") === "false"));
    return found;
  }

  choices($("view"), views.map(({ sheet, view }, index) => [String(index), named.map((name) => sheet[name] ?? view[name]).join(" · ")]), "0");
  $("ask").addEventListener("submit", (event) => event.preventDefault());
  $("view").addEventListener("change", setView);
  for (const id of ["a", "b", "order", "right", "subtype", "slice", "unveil"]) $(id).addEventListener("change", list);
  let typed;
  $("search").addEventListener("input", () => { clearTimeout(typed); typed = setTimeout(list, 120); });
  $("more").addEventListener("click", more);
  setView();
})();
