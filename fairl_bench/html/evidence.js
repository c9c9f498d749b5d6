"use strict";
// texts as evidence: ranked by a reward, or in pairs, each with the colours of its tokens' log-ratios
function showEvidence({ views, method }, { $, make, choices }) {
  const PAGE = 5, STEPS = [0.1, 0.5, 1, 2];
  let view, ranked = 0, paired = 0;

  const signed = (number, digits = 2) => (number < 0 ? "\u2212" : "+") + Math.abs(number).toFixed(digits);
  const step = (ratio) => STEPS.filter((least) => Math.abs(ratio) >= least).length;

  // a text as its tokens: one of them is in the order of Tab, and the arrow keys go to the others
  function heat(at) {
    const text = view.text[at], [ends, ratios] = view.tokens[at], found = make("div", null, { class: "tokens" });
    const words = make("p", null, { dir: "auto", role: "group", "aria-label": "text with the log-ratio of each token" });
    const told = make("output", "", { class: "about" });
    let begin = 0, current = null;
    const tokens = ends.map((end, index) => {
      const piece = text.slice(begin, end), ratio = ratios[index], number = `${signed(ratio)} nats`;
      const token = make("span", piece || "\u220e", { tabindex: "-1", title: number, "aria-description": number });
      if (step(ratio)) token.className = `heat ${ratio < 0 ? "down" : "up"}-${step(ratio)}`;
      const tell = () => { told.textContent = `${piece.trim() || (piece ? "space" : "end of the text")}: ${number}`; };
      token.addEventListener("mouseenter", tell);
      token.addEventListener("focus", () => { tell(); reach(token); });
      begin = end;
      return token;
    });
    function reach(token) {
      if (current) current.tabIndex = -1;
      current = token;
      current.tabIndex = 0;
    }
    words.addEventListener("keydown", (event) => {
      const turn = { ArrowRight: 1, ArrowLeft: -1 }[event.key], place = tokens.indexOf(event.target);
      if (!turn || place < 0) return;
      event.preventDefault();
      tokens[Math.max(0, Math.min(tokens.length - 1, place + turn))].focus();
    });
    words.append(...tokens);
    if (begin < text.length) words.append(make("span", text.slice(begin)));
    if (tokens.length) reach(tokens[0]);
    found.append(words, told);
    return found;
  }

  const shown = (at) => view.tokens[at] ? heat(at) : make("p", view.text[at] || "nothing", { dir: "auto" });

  // what may be hostile is not on the page until it is asked for
  function veiled(bad, what, size, content) {
    if (!bad || $("evidence-unveil").checked) return content();
    const found = make("button", `hidden ${what} of ${size} letters: show`, { type: "button", class: "closed" });
    found.addEventListener("click", () => {
      const opened = content();
      found.replaceWith(opened);
      const first = opened.querySelector("[tabindex='0']") || opened;
      if (first === opened) opened.tabIndex = -1;
      first.focus();
    });
    return found;
  }

  function words(at) {
    return veiled(view.bad[at], "text", view.text[at].length, () => shown(at));
  }

  function prompt(at, bad) {
    const asked = view.prompts[view.prompt[at]];
    return asked ? [veiled(bad, "prompt", asked.length, () => make("p", asked, { class: "prompt", dir: "auto" }))] : [];
  }

  const role = (at) => ({ 1: "preferred", "-1": "rejected", 0: "" })[view.side[at]];

  function rankedEntry([at, reward]) {
    const found = make("li"), ratio = view.ratio[at];
    const about = [`reward ${signed(reward)} sd`, ratio === null ? "" : `log-ratio ${signed(ratio)} nats`, role(at)];
    found.append(make("p", about.filter(Boolean).join(" \u00b7 "), { class: "about" }), ...prompt(at, view.bad[at]), words(at));
    return found;
  }

  function pairEntry({ margin, texts }) {
    const found = make("li"), sides = make("div", null, { class: "sides" });
    found.append(make("p", `margin ${margin === null ? "n/a" : `${signed(margin)} nats`}`, { class: "about" }),
      ...prompt(texts[0], texts.some((at) => view.bad[at])));
    for (const at of texts) {
      const side = make("div"), head = make("p", null, { class: "side" });
      head.append(make("b", role(at)), make("span", view.ratio[at] === null ? "" : `log-ratio ${signed(view.ratio[at])} nats`));
      side.append(head, words(at));
      sides.append(side);
    }
    found.append(sides);
    return found;
  }

  function more(list, entries, entry, seen, button) {
    for (const one of entries.slice(seen, seen + PAGE)) list.append(entry(one));
    if (button) button.hidden = seen + PAGE >= entries.length;
    return seen + PAGE;
  }

  function listRanked() {
    const reward = view.ranked[Number($("evidence-reward").value)];
    if (!ranked) for (const end of ["highest", "lowest"]) $(`evidence-${end}`).replaceChildren();
    for (const end of ["highest", "lowest"]) more($(`evidence-${end}`), reward[end], rankedEntry, ranked, null);
    ranked += PAGE;
    $("evidence-more").hidden = ranked >= Math.max(reward.highest.length, reward.lowest.length);
  }

  function listPairs() {
    if (!$("evidence-list")) return;
    const pairs = view.pairs.filter(({ why }) => why === $("evidence-pairs").value);
    if (!paired) $("evidence-list").replaceChildren();
    paired = more($("evidence-list"), pairs, pairEntry, paired, $("evidence-further"));
  }

  function anew() {
    ranked = paired = 0;
    listRanked();
    listPairs();
  }

  function setView() {
    view = views[Number($("evidence-view").value)];
    choices($("evidence-reward"), view.ranked.map(({ name }, index) => [String(index), name]),
      String(Math.max(0, view.ranked.findIndex((one) => one.method === method))));
    $("evidence-reward").parentElement.hidden = view.ranked.length < 2;
    anew();
  }

  choices($("evidence-view"), views.map(({ model, data }, index) => [String(index), `${model} \u00b7 ${data}`]), "0");
  $("evidence-view").parentElement.hidden = views.length < 2;
  $("evidence-ask").addEventListener("submit", (event) => event.preventDefault());
  $("evidence-view").addEventListener("change", setView);
  $("evidence-reward").addEventListener("change", () => { ranked = 0; listRanked(); });
  $("evidence-pairs").addEventListener("change", () => { paired = 0; listPairs(); });
  $("evidence-unveil").addEventListener("change", anew);
  $("evidence-more").addEventListener("click", listRanked);
  if ($("evidence-further")) $("evidence-further").addEventListener("click", listPairs);
  setView();
}
