"use strict";
/*
 * Draws the page from the island. Text reaches the document through textContent alone (see `el`), after `shown` has made visible what
 * would hide or turn text round. Long lists are drawn as far as they are looked at.
 */
(() => {
  const run = JSON.parse(document.getElementById("run").textContent);
  const main = document.getElementById("main");
  const SVG = "http://www.w3.org/2000/svg";
  const GLYPHS = { structural: "■", semantic: "●", timing: "◆" };
  const CLASSES = ["structural", "semantic", "timing"];
  const VERDICTS = ["open", "documented", "noise", "derived", "infidelity"];
  const PAGE = 40;

  // --- building blocks ---

  const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu;
  const shown = (text) =>
    String(text).replace(HIDDEN, (character) => {
      const code = character.codePointAt(0);
      const known = { 9: "\\t", 10: "\\n", 13: "\\r" }[code];
      return known ?? (code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`);
    });

  function fill(node, children) {
    for (const child of children.flat(4)) {
      if (child === null || child === undefined || child === false) continue;
      node.append(child instanceof Node ? child : document.createTextNode(shown(child)));
    }
    return node;
  }
  function el(name, attributes, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes ?? {})) {
      if (value === null || value === undefined || value === false) continue;
      if (key === "on") for (const [event, action] of Object.entries(value)) node.addEventListener(event, action);
      else node.setAttribute(key, value === true ? "" : value);
    }
    return fill(node, children);
  }
  function svg(name, attributes, ...children) {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes ?? {})) node.setAttribute(key, value);
    return fill(node, children);
  }
  const number = (value) => value.toLocaleString("en-US");
  const several = (count, word, words) => `${number(count)} ${count === 1 ? word : (words ?? `${word}s`)}`;
  const time = (ms) => (ms >= 1000 ? `${(ms / 1000).toFixed(ms >= 10000 ? 0 : 1)} s` : `${ms >= 10 ? Math.round(ms) : ms.toFixed(1)} ms`);
  function section(id, title, note, ...children) {
    return el("section", { id, "aria-labelledby": `${id}-title` }, el("h2", { id: `${id}-title` }, title), note && el("p", { class: "note" }, note), children);
  }
  const badge = (kind) => el("span", { class: `badge class-${kind}` }, el("span", { "aria-hidden": "true" }, GLYPHS[kind] ?? "▪"), ` ${kind}`);
  const stamp = (verdict) => el("span", { class: `stamp stamp-${verdict}` }, verdict);

  // --- filters: one state, in the address ---

  const state = { domain: "", class: new Set(), verdict: new Set(), q: "", open: "" };
  function readAddress() {
    const words = new URLSearchParams(location.hash.slice(1));
    const set = (key, known) => new Set((words.get(key) ?? "").split(",").filter((word) => known.includes(word)));
    state.domain = words.get("domain") ?? "";
    state.class = set("class", CLASSES);
    state.verdict = set("verdict", VERDICTS);
    state.q = words.get("q") ?? "";
    state.open = words.get("open") ?? "";
  }
  function writeAddress() {
    const words = new URLSearchParams();
    if (state.domain) words.set("domain", state.domain);
    if (state.class.size) words.set("class", [...state.class].join(","));
    if (state.verdict.size) words.set("verdict", [...state.verdict].join(","));
    if (state.q) words.set("q", state.q);
    if (state.open) words.set("open", state.open);
    const hash = words.toString();
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  }
  // A place belongs to the cause that lists it; what follows from a place belongs to that one's cause.
  const placeOf = new Map(run.clusters.map((cluster) => [cluster.id, cluster]));
  const causeOf = new Map(run.causes.flatMap((cause) => cause.clusters.map((place) => [run.clusters[place].id, cause])));
  const children = new Map();
  for (const cluster of run.clusters) if (cluster.derivedFrom) children.set(cluster.derivedFrom, [...(children.get(cluster.derivedFrom) ?? []), cluster]);
  function ownerOf(id) {
    const seenIds = new Set();
    let here = id;
    while (here && !causeOf.has(here) && !seenIds.has(here)) { seenIds.add(here); here = placeOf.get(here)?.derivedFrom; }
    return causeOf.get(here) ?? run.causes.find((cause) => cause.id === id) ?? null;
  }
  const haystack = new WeakMap();
  function textOf(cause) {
    if (!haystack.has(cause)) {
      const of = (cluster) => [cluster.id, cluster.cause, cluster.check, cluster.route, ...cluster.routes, cluster.path, cluster.kind, cluster.primary, cluster.candidate, cluster.because, ...cluster.subjects.map(([sort, key]) => (sort === "exchange" ? `#${key}` : key))];
      const words = [cause.id, cause.name, cause.title, cause.usual, ...cause.routes, ...cause.domains, ...cause.clusters.flatMap((place) => of(run.clusters[place]))];
      haystack.set(cause, words.join("\n").toLowerCase());
    }
    return haystack.get(cause);
  }
  function matches(cause, but) {
    if (but !== "domain" && state.domain && !cause.domains.includes(state.domain)) return false;
    if (but !== "class" && state.class.size && !state.class.has(cause.class)) return false;
    if (but !== "verdict" && state.verdict.size && !state.verdict.has(cause.verdict)) return false;
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    return words.every((word) => (/^#\d+$/.test(word) ? textOf(cause).split("\n").includes(word) : textOf(cause).includes(word)));
  }

  // --- the nine domains ---

  const BOXES = [
    ["identical", (row) => row.identical],
    ["noise", (row) => row.explained.noise + row.explained.infidelity, "noise or infidelity of the replay"],
    ["derived", (row) => row.explained.derived],
    ["documented", (row) => row.explained.documented],
    ["open", (row) => row.structural + row.semantic + row.timing],
    ["gaps", (row) => row.gaps],
  ];
  function bar(row, label) {
    const parts = BOXES.map(([name, count]) => [name, count(row)]).filter(([, count]) => count > 0);
    // The smallest part stays visible: one open exchange in thousands must not vanish.
    const widths = parts.map(([, count]) => Math.max((count / row.planned) * 100, 1.4));
    const whole = widths.reduce((sum, width) => sum + width, 0);
    const picture = svg("svg", { class: "bar", role: "img", "aria-label": label, preserveAspectRatio: "none", viewBox: "0 0 100 10" });
    if (!parts.length) picture.append(svg("rect", { class: "box-empty", x: 0, y: 0, width: 100, height: 10 }));
    let left = 0;
    parts.forEach(([name, count], place) => {
      const width = (widths[place] / whole) * 100;
      picture.append(svg("rect", { class: `box-${name}`, x: left, y: 0, width, height: 10 }, svg("title", {}, `${name}: ${number(count)} of ${number(row.planned)}`)));
      left += width;
    });
    return picture;
  }
  const strip = el("ol", { class: "strip" });
  const hatch = svg("svg", { class: "patterns", width: 0, height: 0, "aria-hidden": "true" },
    svg("defs", {}, svg("pattern", { id: "hatch", width: 1.4, height: 10, patternUnits: "userSpaceOnUse" },
      svg("rect", { width: 1.4, height: 10, class: "hatch-ground" }), svg("rect", { width: 0.5, height: 10, class: "hatch-line" }))));
  for (const row of run.domains) {
    const open = row.structural + row.semantic + row.timing;
    const counts = CLASSES.filter((kind) => row[kind]).map((kind) => el("span", { class: `tick class-${kind}` }, `${GLYPHS[kind]} ${number(row[kind])}`, el("span", { class: "quiet" }, ` ${kind}`)));
    const words = `${row.domain}: ${row.identical} of ${row.compared} compared identical, ${open} open, ${row.gaps} gaps`;
    strip.append(el("li", {}, el("button", { type: "button", class: "domain", "aria-pressed": "false", "data-domain": row.domain, title: "show the causes of this domain", on: { click: () => {
      state.domain = state.domain === row.domain ? "" : row.domain;
      apply();
      if (state.domain) document.getElementById("causes").scrollIntoView({ block: "start" });
    } } },
      el("span", { class: "domain-name" }, row.domain),
      bar(row, words),
      el("span", { class: "domain-rate" }, row.planned ? el("b", {}, row.share) : el("b", { class: "quiet" }, "not seen"), row.planned ? el("span", { class: "quiet" }, ` identical, ${number(row.identical)} of ${number(row.compared)}`) : null),
      el("span", { class: "domain-open" }, row.planned || row.state.open ? [
        counts.length ? counts : row.compared ? el("span", { class: "quiet" }, `open ${row.bound}`) : null,
        row.state.open ? el("span", { class: "tick class-semantic" }, `${number(row.state.open)} of state and calls`) : null,
        row.gaps ? el("span", { class: "quiet" }, ` ${several(row.gaps, "gap")}`) : null] : null))));
  }
  main.append(hatch, section("domains", "Nine domains", null, strip,
    el("ul", { class: "legend" }, BOXES.map(([name, , words]) => el("li", {}, svg("svg", { class: "swatch", viewBox: "0 0 10 10", "aria-hidden": "true" }, svg("rect", { class: `box-${name}`, width: 10, height: 10 })), words ?? name)))));

  // --- funnel ---

  const widest = Math.max(1, run.funnel[0].count);
  main.append(section("funnel", "From recorded to open", null, el("ol", { class: "steps" }, run.funnel.map((step, place) => el("li", { class: place === run.funnel.length - 1 ? "step step-last" : "step" },
    el("span", { class: "step-count" }, number(step.count)),
    el("span", { class: "step-name" }, step.name),
    svg("svg", { class: "step-bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("rect", { class: `step-${place}`, width: step.count && place < run.funnel.length - 1 ? Math.max((step.count / widest) * 100, 0.7) : 0, height: 10 })),
    el("span", { class: "step-left" }, step.left))))));

  // --- causes ---

  const list = el("div", { class: "causes" });
  const tail = el("p", { class: "tail" });
  const tally = el("p", { class: "tally", role: "status" });
  const search = el("input", { type: "search", placeholder: "search causes, routes, paths, #31", "aria-label": "search causes", autocomplete: "off", spellcheck: "false", on: { input: () => { state.q = search.value; apply(); } } });
  const picker = el("select", { "aria-label": "domain", on: { change: () => { state.domain = picker.value; apply(); } } }, el("option", { value: "" }, "all domains"), run.domains.map((row) => el("option", { value: row.domain }, row.domain)));
  const toggles = [];
  function toggle(group, word) {
    const count = el("span", { class: "count" });
    const button = el("button", { type: "button", class: `toggle ${group === "class" ? `class-${word}` : `stamp-${word}`}`, on: { click: () => {
      state[group].has(word) ? state[group].delete(word) : state[group].add(word);
      apply();
    } } }, group === "class" ? `${GLYPHS[word]} ` : null, word, " ", count);
    toggles.push({ group, word, count, button });
    return button;
  }
  const clear = el("button", { type: "button", class: "clear", on: { click: () => { Object.assign(state, { domain: "", q: "", open: "" }); state.class.clear(); state.verdict.clear(); apply(); } } }, "show all");
  main.append(section("causes", "Causes", "Most explaining first. A cause is read once, however many places it shows in; it opens to its places, the smallest first.",
    el("div", { class: "toolbar", hidden: run.causes.length === 0 }, search, picker, el("div", { class: "group", role: "group", "aria-label": "class" }, CLASSES.map((word) => toggle("class", word))),
      el("div", { class: "group", role: "group", "aria-label": "verdict" }, VERDICTS.map((word) => toggle("verdict", word))), clear,
      el("span", { class: "keys" }, el("kbd", {}, "j"), el("kbd", {}, "k"), " move ", el("kbd", {}, "enter"), " open ", el("kbd", {}, "/"), " search")),
    tally, list, tail));

  let byKey = false;
  let visibleCauses = [];
  let drawn = 0;

  function apply() {
    visibleCauses = run.causes.filter((cause) => matches(cause));
    if (search.value !== state.q) search.value = state.q;
    picker.value = state.domain;
    for (const { group, word, count, button } of toggles) {
      const there = run.causes.filter((cause) => cause[group] === word && matches(cause, group)).length;
      count.textContent = number(there);
      button.setAttribute("aria-pressed", String(state[group].has(word)));
      button.classList.toggle("empty", there === 0);
    }
    for (const button of strip.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.dataset.domain === state.domain));
    const filtered = visibleCauses.length !== run.causes.length;
    clear.hidden = !(state.domain || state.q || state.class.size || state.verdict.size);
    const places = visibleCauses.reduce((sum, cause) => sum + cause.clusters.length, 0);
    tally.textContent = run.causes.length === 0 ? "No cause: nothing differs." : `${filtered ? `${number(visibleCauses.length)} of ` : ""}${several(run.causes.length, "cause")}, ${several(places, "place")}`;
    list.replaceChildren();
    drawn = 0;
    const owner = state.open ? ownerOf(state.open) : null;
    draw(Math.max(PAGE, owner ? visibleCauses.indexOf(owner) + 5 : 0));
    writeAddress();
  }
  function draw(more) {
    const end = Math.min(drawn + more, visibleCauses.length);
    for (; drawn < end; drawn += 1) list.append(card(visibleCauses[drawn]));
    const left = visibleCauses.length - drawn;
    tail.textContent = left > 0 ? `${several(left, "more cause")} below` : "";
  }
  new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting) && drawn < visibleCauses.length) draw(PAGE); }, { rootMargin: "600px" }).observe(tail);
  addEventListener("beforeprint", () => draw(visibleCauses.length));

  const leaf = (text, side) => (run.bodies === "none" ? el("span", { class: "quiet" }, "left out") : text === null ? el("span", { class: "absent" }, "absent") : el("code", { class: `leaf ${side}` }, text));
  function split(left, right) {
    // Where two texts part: the length of what they share at both ends.
    let start = 0;
    const most = Math.min(left.length, right.length);
    while (start < most && left[start] === right[start]) start += 1;
    let end = 0;
    while (end < most - start && left[left.length - 1 - end] === right[right.length - 1 - end]) end += 1;
    return [start, end];
  }
  // Numbers and words differ whole; texts differ where they part.
  const parting = (left, right) => (/^[^"{[]{1,24}$/.test(left) || /^[^"{[]{1,24}$/.test(right) ? [0, 0] : split(left, right));
  function marked(text, other) {
    if (text === null) return leaf(null, "");
    if (run.bodies === "none") return leaf(text, "");
    const code = el("code", { class: "leaf" });
    if (other === null || text === other) return fill(code, [text]);
    const [start, end] = parting(text, other);
    const middle = text.slice(start, text.length - end);
    return fill(code, [text.slice(0, start), middle ? el("mark", {}, middle) : el("mark", { class: "caret", title: "something is missing here" }, "‸"), text.slice(text.length - end)]);
  }

  // Names in a sentence stand between backticks.
  const sentence = (text) => text.split(/(`+)(.+?)\1(?!`)/s).map((part, place) => (place % 3 === 2 ? el("code", {}, part.trim()) : place % 3 ? null : part));
  const change = (cluster) => run.bodies === "none" ? null : el("span", { class: "card-change" }, marked(clip(cluster.primary, cluster.candidate), clip(cluster.candidate, cluster.primary)), el("span", { class: "arrow" }, "→"), marked(clip(cluster.candidate, cluster.primary), clip(cluster.primary, cluster.candidate)));
  const whereOf = (cluster) => {
    const where = cluster.route ?? `${cluster.check}: ${cluster.path}`;
    return [el("code", {}, where), cluster.routes.length > 1 ? ` and ${several(cluster.routes.length - 1, "more route")}` : null, cluster.path !== where && cluster.path !== cluster.kind && el("code", { class: "path" }, cluster.path), el("span", { class: "quiet" }, cluster.kind)];
  };

  function card(cause) {
    const node = el("details", { class: `card edge-${cause.class} ${cause.verdict === "open" ? "" : "settled"}`, id: `cause-${cause.id}` });
    const first = run.clusters[cause.clusters[0]];
    node.append(el("summary", {},
      el("span", { class: "card-head" }, badge(cause.class), stamp(cause.verdict), el("span", { class: "domain-tag" }, cause.domains.join(", ")), el("span", { class: "seen" }, `seen ${number(cause.count)}`), el("code", { class: "id" }, cause.id)),
      el("span", { class: "card-title" }, sentence(cause.title.replace(/ \[[A-Z(][^\]]*\]$/, ""))), // the routes stand below
      el("span", { class: "card-reach" }, several(cause.places, "place"), cause.routes.length ? ` on ${several(cause.routes.length, "route")}` : null, cause.derived ? el("span", { class: "quiet" }, ` · ${number(cause.derived)} more ${cause.derived === 1 ? "follows" : "follow"} from it`) : null),
      first && [el("span", { class: "card-place" }, whereOf(first)), change(first)]));
    node.addEventListener("toggle", () => {
      if (node.open && node.childElementCount === 1) node.append(places(cause));
      if (node.open) {
        if (ownerOf(state.open) !== cause) state.open = cause.id;
        // Opened from the keyboard at the lower edge, what was opened would stay out of sight.
        if (byKey && node.getBoundingClientRect().bottom > innerHeight) node.scrollIntoView({ block: "start" });
      }
      else if (ownerOf(state.open) === cause) state.open = "";
      byKey = false;
      writeAddress();
    });
    if (state.open && ownerOf(state.open) === cause) node.open = true;
    return node;
  }

  // --- inside a cause: its places, then what follows from them ---

  function places(cause) {
    const node = el("div", { class: "inside" });
    if (cause.usual) node.append(el("p", { class: "usual" }, el("b", {}, "Usually: "), sentence(cause.usual)));
    const own = cause.clusters.map((place) => run.clusters[place]);
    const wanted = own.some((cluster) => cluster.id === state.open) || !own.length ? state.open : own[0].id;
    const rows = el("div", { class: "places" });
    let shownPlaces = 0;
    const more = el("button", { type: "button", class: "unfold", on: { click: () => grow(200) } });
    const grow = (count) => {
      const end = Math.min(shownPlaces + count, own.length);
      for (; shownPlaces < end; shownPlaces += 1) rows.append(place(own[shownPlaces], cause));
      more.hidden = shownPlaces >= own.length;
      more.textContent = `${several(own.length - shownPlaces, "more place")}`;
    };
    grow(Math.max(12, own.findIndex((cluster) => cluster.id === wanted) + 1));
    node.append(rows, more);
    const follows = own.flatMap((cluster) => children.get(cluster.id) ?? []);
    if (follows.length) {
      const seenIds = new Set(own.map((cluster) => cluster.id));
      const tree = el("details", { class: "fold" }, el("summary", {}, `${several(follows.length, "place")} ${follows.length === 1 ? "follows" : "follow"} directly from it`));
      tree.addEventListener("toggle", () => { if (tree.open && tree.childElementCount === 1) tree.append(el("div", { class: "places derived" }, follows.slice(0, 200).map((cluster) => place(cluster, cause, seenIds)), follows.length > 200 ? el("p", { class: "note" }, `and ${number(follows.length - 200)} more`) : null)); });
      if (follows.some((cluster) => cluster.id === state.open)) tree.open = true;
      node.append(tree);
    }
    rows.querySelector(`#place-${CSS.escape(wanted)}`)?.setAttribute("open", "");
    return node;
  }
  function place(cluster, cause, seenIds = new Set()) {
    const node = el("details", { class: `place ${cluster.verdict === "open" ? "" : "settled"}`, id: `place-${cluster.id}` }, el("summary", {},
      el("span", { class: "card-head" }, cluster.class === cause.class ? null : badge(cluster.class), cluster.verdict === cause.verdict ? null : stamp(cluster.verdict), el("span", { class: "card-place" }, whereOf(cluster)), el("span", { class: "seen" }, cluster.seen), el("code", { class: "id" }, cluster.id)),
      change(cluster)));
    node.addEventListener("toggle", () => {
      if (node.open && node.childElementCount === 1) node.append(inside(cluster));
      if (node.open && cluster.id !== run.clusters[cause.clusters[0]]?.id) { state.open = cluster.id; writeAddress(); }
      if (!node.open && state.open === cluster.id) { state.open = cause.id; writeAddress(); }
    });
    if (state.open === cluster.id && !seenIds.has(cluster.id)) node.open = true;
    return node;
  }
  function clip(text, other) {
    // The representative's value in one line: what is around the place where the two part.
    if (text === null || text.length <= 90) return text;
    const start = other === null ? 0 : Math.max(0, split(text, other)[0] - 30);
    return `${start ? "…" : ""}${text.slice(start, start + 88)}${start + 88 < text.length ? "…" : ""}`;
  }

  // --- inside a place ---

  function inside(cluster) {
    const node = el("div", { class: "inside-place" });
    const fact = (name, ...words) => [el("dt", {}, name), el("dd", {}, words)];
    node.append(el("dl", { class: "facts" },
      run.bodies === "none" ? null : [
        fact("primary", el("code", { class: "path" }, cluster.at || cluster.path), " ", marked(cluster.primary, cluster.candidate)),
        fact("candidate", el("code", { class: "path" }, cluster.at || cluster.path), " ", marked(cluster.candidate, cluster.primary)),
        cluster.control === null ? null : cluster.control === cluster.primary ? fact("control", el("span", { class: "quiet" }, "agrees with the recording")) : fact("control", el("code", { class: "path" }, cluster.at || cluster.path), " ", marked(cluster.control, cluster.candidate))],
      cluster.told || !cluster.cause ? null : fact("change", cluster.cause),
      fact("because", cluster.because),
      cluster.derivedFrom && fact("derived from", jump(cluster.derivedFrom)),
      children.has(cluster.id) && fact("explains", el("ul", { class: "tree" }, branch(cluster, new Set([cluster.id])))),
      cluster.ids.length ? fact("ids", el("ul", { class: "ids" }, cluster.ids.map(([kind, recorded, observed, born], place) =>
        el("li", {}, chip(recorded, place), " ↔ ", chip(observed, place), el("span", { class: "quiet" }, ` ${kind}, born in ${born}`))))) : null,
      cluster.routes.length > 1 ? fact("routes", cluster.routes.slice(0, 60).map((route, place) => [place ? ", " : null, el("code", {}, route)]), cluster.routes.length > 60 ? ` and ${number(cluster.routes.length - 60)} more` : null) : null,
      fact("again", el("code", { class: "command", tabindex: "0" }, cluster.again), cluster.inside && el("span", { class: "quiet" }, " inside the run's folder"))));
    const stage = el("div", { class: "stage" });
    const pick = (subject, buttons, button) => {
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      stage.replaceChildren(answers(subject[1], cluster));
    };
    const buttons = [];
    const subjects = cluster.subjects.map((subject) => {
      const [sort, key] = subject;
      const label = sort === "exchange" ? `#${key}` : `${sort} ${key}`;
      if (sort !== "exchange" || !run.exchanges[key]) return el("span", { class: "subject" }, label);
      const button = el("button", { type: "button", class: "subject", "aria-pressed": "false", on: { click: () => pick(subject, buttons, button) } }, label);
      buttons.push(button);
      return button;
    });
    if (cluster.kind === "rank" || cluster.kind === "order") node.append(bump(cluster) ?? "");
    node.append(el("p", { class: "subjects" }, el("span", { class: "quiet" }, "seen in "), subjects, cluster.more ? el("span", { class: "quiet" }, ` and ${number(cluster.more)} more`) : null), stage);
    if (buttons.length) buttons[0].click();
    else if (run.bodies === "none") stage.append(el("p", { class: "note" }, "This page was made without bodies."));
    return node;
  }
  function jump(id) {
    return el("button", { type: "button", class: "link", title: `${placeOf.get(id)?.kind ?? ""} ${placeOf.get(id)?.path ?? ""}`, on: { click: () => {
      Object.assign(state, { domain: "", q: "", open: id });
      state.class.clear();
      state.verdict.clear();
      apply();
      reveal(id);
    } } }, id);
  }
  function reveal(id) {
    // What an opened cause holds is drawn when its toggle event comes.
    setTimeout(() => (document.getElementById(`place-${id}`) ?? document.getElementById(`cause-${ownerOf(id)?.id}`))?.scrollIntoView({ block: "start", behavior: "instant" }), 0);
  }

  // --- ranks: where each item was, and where it went ---

  function bump(cluster) {
    const listed = (text) => { try { const value = JSON.parse(text); return Array.isArray(value) ? value.map((item) => (typeof item === "string" ? item : JSON.stringify(item))) : null; } catch { return null; } };
    const left = listed(cluster.primary);
    const right = listed(cluster.candidate);
    if (!left?.length || !right?.length) return null;
    let moves = right.map((text) => /^(\d+) \(was (\d+)\)/.exec(text)).filter(Boolean).map(([, now, was]) => [Number(was), Number(now)]);
    if (moves.length) {
      // Told are only those that moved; the others kept their rank.
      const moved = new Set(moves.map(([was]) => was));
      if (!right.at(-1).startsWith("…")) left.forEach((_, place) => { if (!moved.has(place + 1)) moves.push([place + 1, place + 1]); });
    } else {
      const free = right.map((text, place) => [text, place + 1]);
      left.forEach((text, place) => {
        const found = free.findIndex(([other]) => other === text);
        if (found >= 0) moves.push([place + 1, free.splice(found, 1)[0][1]]);
      });
    }
    moves = moves.filter(([was, now]) => was <= 30 && now <= 30).sort((one, two) => one[0] - two[0]);
    if (!moves.length) return null;
    const rows = Math.max(...moves.flat());
    const W = 720;
    const H = rows * 26 + 34;
    const y = (rank) => 30 + (rank - 0.5) * 26;
    const label = (text) => shown(text.length > 38 ? `${text.slice(0, 37)}…` : text);
    const picture = svg("svg", { class: "bump", viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `ranks of ${several(moves.length, "item")}, primary to the left, candidate to the right` },
      svg("text", { x: 300, y: 16, "text-anchor": "end", class: "axis" }, "primary"), svg("text", { x: 470, y: 16, class: "axis" }, "candidate"));
    for (const [was, now] of moves) {
      const kind = was === now ? "stays" : was > now ? "rises" : "falls";
      picture.append(svg("path", { class: `way ${kind}`, d: `M318 ${y(was)}C380 ${y(was)} 390 ${y(now)} 452 ${y(now)}` }), svg("circle", { class: `knot ${kind}`, r: 5, cx: 318, cy: y(was) }), svg("circle", { class: `knot ${kind}`, r: 5, cx: 452, cy: y(now) }),
        svg("text", { x: 304, y: y(was) + 4, "text-anchor": "end" }, `${label(left[was - 1] ?? "")}  ${was}`), svg("text", { x: 466, y: y(now) + 4 }, `${now}${was === now ? "" : `  ${was > now ? "↑" : "↓"}${Math.abs(was - now)}`}`));
    }
    return el("figure", { class: "ranks" }, picture);
  }

  function branch(cluster, seenIds) {
    return (children.get(cluster.id) ?? []).filter((child) => !seenIds.has(child.id)).map((child) => el("li", {}, jump(child.id), " ", child.cause, el("span", { class: "quiet" }, ` ${child.seen}`),
      children.has(child.id) ? el("ul", {}, branch(child, new Set([...seenIds, child.id]))) : null));
  }
  const chip = (id, place) => el("span", { class: `chip chip-${place % 6}`, title: id }, el("span", { class: "chip-number" }, String(place + 1)), id.length > 13 ? `${id.slice(0, 8)}…` : id);

  function answers(key, cluster) {
    const exchange = run.exchanges[key];
    const found = (run.findings[key] ?? []).map(([at, place, mappings]) => ({ at, place, mappings }));
    const ids = [];
    for (const mapping of [...cluster.ids, ...found.flatMap((finding) => finding.mappings)]) if (!ids.some(([, recorded, observed]) => recorded === mapping[1] && observed === mapping[2])) ids.push(mapping);
    const node = el("div", { class: "exchange" });
    node.append(el("p", { class: "asked" }, el("b", {}, `#${key}`), " ", el("code", {}, `${exchange.method} ${exchange.target}`)));
    if (exchange.body || exchange.headers.length) node.append(el("details", { class: "fold" }, el("summary", {}, "what was asked"), headers(exchange.headers, []), exchange.body ? el("pre", { class: "plain" }, plain(exchange.body)) : null));
    const sides = [["recorded ↔ observed", "primary", "candidate"]];
    if (exchange.control) sides.push(["control ↔ observed", "control", "candidate"], ["recorded ↔ control", "primary", "control"]);
    const body = el("div");
    const buttons = sides.map(([label, left, right]) => {
      const button = el("button", { type: "button", class: "toggle", "aria-pressed": "false", on: { click: () => {
        for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
        body.replaceChildren(compare(exchange, left, right, { found, own: cluster, ids }));
      } } }, label);
      return button;
    });
    if (buttons.length > 1) node.append(el("div", { class: "group" }, buttons));
    node.append(body);
    buttons[0].click();
    return node;
  }
  const NAMES = { primary: "primary, recorded", candidate: "candidate, observed", control: "control" };
  const plain = (text) => (text.length > 20000 ? `${text.slice(0, 20000)}…` : text).split("\n").map((line) => el("span", { class: "line" }, line || " "));
  const headers = (rows, others) => rows.length ? el("dl", { class: "headers" }, rows.map(([name, value]) => {
    const same = others.some(([key, other]) => key.toLowerCase() === name.toLowerCase() && other === value);
    return [el("dt", { class: same || !others.length ? null : "differs" }, name), el("dd", { class: same || !others.length ? null : "differs" }, value)];
  })) : null;

  function compare(exchange, left, right, view) {
    const a = exchange[left];
    const b = exchange[right];
    const own = (side, other, name) => el("div", { class: "side" }, el("h3", {}, NAMES[name]),
      side === null ? el("p", { class: "absent" }, "no answer is there") : [
        el("p", { class: "status" }, el("b", { class: other && other.status !== side.status ? "differs" : null }, side.status === null ? "no response" : String(side.status)), " ", el("span", { class: other && other.type !== side.type ? "differs" : "quiet" }, side.type || "no content type"), el("span", { class: "quiet" }, ` · ${time(side.ms)} · ${several(side.bytes, "byte")}`)),
        side.error ? el("p", { class: "differs" }, side.error) : null,
        side.headers.length ? el("details", { class: "fold" }, el("summary", {}, several(side.headers.length, "header")), headers(side.headers, other?.headers ?? [])) : null,
        side.cut ? el("p", { class: "quiet" }, "The body is cut here.") : null]);
    const node = el("div", {}, el("div", { class: "sides" }, own(a, b, left), own(b, a, right)));
    const texts = [a?.body ?? "", b?.body ?? ""];
    if (texts[0] || texts[1]) node.append(el("p", { class: "marks" }, el("span", { class: "mark-own" }, "this place"), el("span", { class: "mark-found" }, "another place that differs"), el("span", { class: "drift" }, "tolerated"), run.bodies === "diff" ? el("span", {}, el("code", {}, "…"), " the same on all sides, left out") : null), table(texts, [a?.type ?? "", b?.type ?? ""], view, [left, right]));
    return node;
  }

  // --- bodies, line by line ---

  const NAME = /^[A-Za-z0-9_$-]+$/;
  function layout(text, type) {
    // Lines of pretty-printed JSON with their paths. Tokens stay as they were written (1.0 is not 1).
    if (/event-stream/.test(type)) return events(text);
    if (/ndjson|jsonl/.test(type)) return text.split("\n").filter(Boolean).flatMap((line, place) => json(line, `$.<ndjson>[${place}]`) ?? [raw(line, `$.<ndjson>[${place}]`)]);
    return json(text, "$") ?? text.split("\n").map((line) => raw(line, "$"));
  }
  const raw = (text, path) => ({ depth: 0, key: "", text, path, opens: false, comma: "" });
  function events(text) {
    let event = 0;
    return text.split(/\r?\n/).flatMap((line, place, lines) => {
      if (!line && place && lines[place - 1]) { event += 1; return [raw("", `$.<sse>[${event - 1}]`)]; }
      const field = /^(event|id|data): ?/.exec(line);
      if (!field) return [raw(line, `$.<sse>[${event}]`)];
      const path = `$.<sse>[${event}].${field[1]}`;
      const inner = field[1] === "data" ? json(line.slice(field[0].length), path) : null;
      if (!inner || inner.length < 2) return [raw(line, path)];
      inner[0].key = "data";
      return inner;
    });
  }
  function json(text, root) {
    const token = /\s*(?:([{}[\],:])|("[^"\\]*(?:\\.[^"\\]*)*")|([^\s{}[\],:"]+))/gy;
    const lines = [];
    const stack = [];
    let key = "";
    let path = root;
    let expectKey = false;
    let done = false;
    const emit = (value, opens) => { lines.push({ depth: stack.length, key, text: value, path, opens, comma: "" }); key = ""; };
    const step = () => { const top = stack.at(-1); if (top?.list) { path = `${top.path}[${top.next}]`; top.next += 1; } };
    for (;;) {
      const from = token.lastIndex;
      const found = token.exec(text);
      if (!found) {
        // What was cut in the middle of a token is shown as it is.
        if (lines.length && text.slice(from).trim()) lines.push({ ...raw(text.slice(from).trim(), path), depth: stack.length });
        break;
      }
      const [, mark, string, word] = found;
      if (done) return null;
      if (mark === "{" || mark === "[") {
        step();
        emit(mark, true);
        stack.push({ path, list: mark === "[", next: 0, at: lines.length });
        expectKey = mark === "{";
        if (stack.length > 200) return null;
      } else if (mark === "}" || mark === "]") {
        const top = stack.pop();
        if (!top || top.list !== (mark === "]")) return null;
        path = top.path;
        if (top.at === lines.length) { lines.at(-1).text += mark; lines.at(-1).opens = false; } else { key = ""; lines.push({ depth: stack.length, key: "", text: mark, path, opens: true, comma: "" }); }
        expectKey = false;
        done = stack.length === 0;
      } else if (mark === ",") {
        if (!lines.length || !stack.length) return null;
        lines.at(-1).comma = ",";
        expectKey = !stack.at(-1).list;
      } else if (mark === ":") {
        if (!key) return null;
      } else if (expectKey) {
        if (!string) return null;
        key = string;
        let name = string.slice(1, -1);
        try { name = JSON.parse(string); } catch { /* the token stands for itself */ }
        path = NAME.test(name) ? `${stack.at(-1).path}.${name}` : `${stack.at(-1).path}[${string}]`;
        expectKey = false;
      } else {
        if (word && !/^(?:true|false|null|-?\d[\d.eE+-]*)$/.test(word)) return null;
        step();
        emit(string ?? word, false);
        done = stack.length === 0;
      }
    }
    return lines.length > 1 || done ? lines : null;
  }

  const MOMENT = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?/g;
  function neutral(line, ids) {
    let text = `${line.depth}${line.key}:${line.text}`;
    ids.forEach(([, recorded, observed], place) => { text = text.replaceAll(recorded, `\u0001${place}`).replaceAll(observed, `\u0001${place}`); });
    return text.replace(MOMENT, "\u0002");
  }
  function align(left, right, keysLeft, keysRight) {
    // Longest common subsequence between what is shared at both ends; where that is too much, by path.
    const rows = [];
    let start = 0;
    while (start < left.length && start < right.length && keysLeft[start] === keysRight[start]) { rows.push([start, start]); start += 1; }
    let end = 0;
    // A brace that closes another item is no common end: it belongs to the item above it.
    const common = (one, other) => one.path === other.path || !(one.opens && /^[}\]]/.test(one.text));
    while (end < left.length - start && end < right.length - start && keysLeft[left.length - 1 - end] === keysRight[right.length - 1 - end] && common(left[left.length - 1 - end], right[right.length - 1 - end])) end += 1;
    const n = left.length - start - end;
    const m = right.length - start - end;
    const middle = [];
    if (n * m <= 4e6) {
      const width = m + 1;
      const best = new Uint16Array((n + 1) * width);
      for (let i = n - 1; i >= 0; i -= 1) for (let j = m - 1; j >= 0; j -= 1) best[i * width + j] = keysLeft[start + i] === keysRight[start + j] ? best[(i + 1) * width + j + 1] + 1 : Math.max(best[(i + 1) * width + j], best[i * width + j + 1]);
      let i = 0;
      let j = 0;
      while (i < n || j < m) {
        if (i < n && j < m && keysLeft[start + i] === keysRight[start + j]) { middle.push([start + i, start + j]); i += 1; j += 1; }
        else {
          // Where both ways are as good, keep abreast.
          const gain = i < n && j < m ? best[(i + 1) * width + j] - best[i * width + j + 1] : 0;
          if (i < n && (j === m || gain > 0 || (gain === 0 && i <= j))) { middle.push([start + i, null]); i += 1; }
          else { middle.push([null, start + j]); j += 1; }
        }
      }
    } else {
      for (let i = 0; i < n; i += 1) middle.push([start + i, null]);
      for (let j = 0; j < m; j += 1) middle.push([null, start + j]);
    }
    rows.push(...pairUp(middle, left, right));
    for (let k = end; k > 0; k -= 1) rows.push([left.length - k, right.length - k]);
    return rows;
  }
  function pairUp(rows, left, right) {
    // Within a run of unmatched lines, those at the same path stand beside each other.
    const out = [];
    let block = [[], []];
    const spot = (line) => `${line.path}${line.opens && /^[}\]]/.test(line.text) ? "~" : ""}`;
    const close = () => {
      const [ones, others] = block;
      const places = new Map();
      others.forEach((j, place) => { const key = spot(right[j]); if (!places.has(key)) places.set(key, []); places.get(key).push(place); });
      let next = 0;
      for (const i of ones) {
        const match = (places.get(spot(left[i])) ?? []).find((place) => place >= next);
        if (match === undefined) { out.push([i, null]); continue; }
        while (next < match) { out.push([null, others[next]]); next += 1; }
        out.push([i, others[next]]);
        next += 1;
      }
      while (next < others.length) { out.push([null, others[next]]); next += 1; }
      block = [[], []];
    };
    for (const [i, j] of rows) {
      if (i !== null && j !== null) { close(); out.push([i, j]); }
      else if (i !== null) block[0].push(i);
      else block[1].push(j);
    }
    close();
    return out;
  }

  function inOrderOf(lines, model) {
    // The order of an object's keys means nothing: the right side is shown in the left side's order, so that equal lines meet.
    const blank = (path) => path.replace(/\[\d+\]/g, "[*]");
    const ranks = new Map();
    model.forEach((line, place) => { const path = blank(line.path); if (!ranks.has(path)) ranks.set(path, place); });
    const root = { kids: [] };
    const stack = [root];
    for (const line of lines) {
      const closes = line.opens && /^[}\]]/.test(line.text);
      if (closes && stack.length > 1) { stack.pop().tail = line; continue; }
      const entry = { head: line, kids: [] };
      stack.at(-1).kids.push(entry);
      if (line.opens && !closes) stack.push(entry);
    }
    const out = [];
    const rank = (entry) => ranks.get(blank(entry.head.path)) ?? Infinity;
    const emit = (entry) => {
      if (entry.head) out.push(entry.head);
      const kids = entry.head?.text === "{" ? entry.kids.map((kid, place) => [rank(kid), place, kid]).sort(([a, i], [b, j]) => (a === b ? i - j : a < b ? -1 : 1)).map(([, , kid]) => kid) : entry.kids;
      for (const kid of kids) emit(kid);
      if (entry.tail) {
        const last = kids.at(-1);
        for (const kid of kids) if (entry.head.text === "{") { const end = kid.tail ?? kid.head; end.comma = kid === last ? "" : ","; }
        out.push(entry.tail);
      }
    };
    emit(root);
    return out;
  }
  function table(texts, types, view, sides) {
    const [left, unordered] = texts.map((text, side) => (text ? layout(text, types[side]) : []));
    const right = inOrderOf(unordered, left);
    // An answer with a shape and one without have no lines in common: they stand beside each other as they are.
    const alike = !left.length || !right.length || left.some((line) => line.path !== "$") === right.some((line) => line.path !== "$");
    const rows = alike
      ? align(left, right, left.map((line) => neutral(line, view.ids)), right.map((line) => neutral(line, view.ids)))
      : Array.from({ length: Math.max(left.length, right.length) }, (_, place) => [place < left.length ? place : null, place < right.length ? place : null]);
    const pathless = !alike || ![...left, ...right].some((line) => line.path !== "$");
    const touches = (line, at) => line && (line.path === at || line.path.startsWith(`${at}.`) || line.path.startsWith(`${at}[`) || (!line.opens && line.path !== "$" && (at.startsWith(`${line.path}.`) || at.startsWith(`${line.path}[`))));
    const node = el("div", { class: "table", role: "group", "aria-label": "both answers, aligned" });
    const mine = view.found.filter(({ place }) => run.clusters[place] === view.own).map(({ at }) => at);
    const own = new Set(mine.length ? mine : [view.own.at]);
    const drawn = rows.map(([i, j]) => {
      const one = i === null ? null : left[i];
      const other = j === null ? null : right[j];
      const differs = !one || !other || one.text !== other.text || one.key !== other.key;
      const finding = differs && view.found.find(({ at }) => touches(one, at) || touches(other, at));
      const isOwn = differs && [...own].some((at) => touches(one, at) || touches(other, at));
      const kind = !differs ? "same" : isOwn || (own.has("body") && !alike) ? "own" : finding || pathless ? "found" : "tolerated";
      return { kind, one, other };
    });
    const cell = (line, other, kind, side) => {
      const box = el("div", { class: `cell side-${side}`, "data-side": sides[side] });
      if (!line) { box.classList.add("void"); return box; }
      const indent = "  ".repeat(line.depth);
      const code = el("code", {});
      code.append(indent);
      if (line.key) fill(code, [el("span", { class: "key" }, line.key), ": "]);
      const parts = kind === "same" || !alike || !other || other.key !== line.key ? [[line.text, false]] : pieces(line.text, other.text);
      for (const [text, differing] of parts) {
        const bits = chips(text, view.ids);
        if (differing && !bits.some((bit) => bit instanceof Node)) fill(code, [el(kind === "tolerated" ? "span" : "mark", { class: kind === "tolerated" ? "drift" : null }, bits)]);
        else fill(code, bits);
      }
      if (line.comma) code.append(line.comma);
      box.append(code);
      return box;
    };
    const lineOf = ({ kind, one, other }) => el("div", { class: `row ${kind}` }, cell(one, other, kind, 0), cell(other, one, kind, 1));
    // Long runs of equal lines fold; three lines stay around what differs.
    let place = 0;
    while (place < drawn.length) {
      let end = place;
      while (end < drawn.length && drawn[end].kind === "same") end += 1;
      const from = place === 0 ? place : place + 3;
      const to = end === drawn.length ? end : end - 3;
      if (to - from > 6) {
        for (const row of drawn.slice(place, from)) node.append(lineOf(row));
        const hidden = drawn.slice(from, to);
        const button = el("button", { type: "button", class: "unfold", on: { click: () => button.replaceWith(...hidden.map(lineOf)) } }, `⋯ ${several(hidden.length, "equal line")}`);
        node.append(button);
        for (const row of drawn.slice(to, end)) node.append(lineOf(row));
      } else for (const row of drawn.slice(place, end)) node.append(lineOf(row));
      if (end < drawn.length) node.append(lineOf(drawn[end]));
      place = end + 1;
    }
    return node;
  }
  function pieces(text, other) {
    const [start, end] = parting(text, other);
    return [[text.slice(0, start), false], [text.slice(start, text.length - end), true], [text.slice(text.length - end), false]].filter(([piece]) => piece);
  }
  function chips(text, ids) {
    // Cut the text where a mapped id stands; both sides' ids bear one number.
    let parts = [text];
    ids.forEach(([, recorded, observed], place) => {
      for (const id of [recorded, observed]) {
        if (!id) continue;
        parts = parts.flatMap((part) => {
          if (typeof part !== "string" || !part.includes(id)) return [part];
          return part.split(id).flatMap((piece, index) => (index ? [chip(id, place), piece] : [piece]));
        });
      }
    });
    return parts.filter((part) => part !== "");
  }

  // --- latency ---

  function scatter() {
    if (!run.points.length) return null;
    const all = run.points.flatMap(([, a, b]) => [a, b]).filter((ms) => ms > 0);
    const low = Math.floor(Math.log10(Math.max(all.reduce((least, ms) => Math.min(least, ms), 1), 0.01)));
    const high = Math.max(Math.ceil(Math.log10(all.reduce((x, y) => Math.max(x, y), 1))), low + 1);
    const narrow = matchMedia("(max-width: 720px)").matches;
    const [W, H, L, B, T, R] = narrow ? [760, 640, 120, 46, 14, 14] : [760, 520, 62, 44, 14, 14];
    const at = (ms) => (Math.log10(Math.max(ms, 10 ** low)) - low) / (high - low);
    const x = (ms) => L + at(ms) * (W - L - R);
    const y = (ms) => H - B - at(ms) * (H - B - T);
    const picture = svg("svg", { viewBox: `0 0 ${W} ${H}`, class: "scatter", role: "img", "aria-label": `latency of the candidate against ${run.controlled ? "the control" : "the primary"}, both axes logarithmic` });
    for (let power = low; power <= high; power += 1) {
      const ms = 10 ** power;
      const label = ms >= 1000 ? `${ms / 1000} s` : `${ms} ms`;
      picture.append(svg("line", { class: "grid", x1: x(ms), x2: x(ms), y1: T, y2: H - B }), svg("line", { class: "grid", x1: L, x2: W - R, y1: y(ms), y2: y(ms) }),
        svg("text", { x: x(ms), y: H - B + (narrow ? 30 : 18), "text-anchor": power === high ? "end" : "middle" }, label), svg("text", { x: L - 8, y: y(ms) + (narrow ? 8 : 4), "text-anchor": "end" }, label));
    }
    const top = 10 ** high;
    const curve = (limit) => {
      const steps = [];
      for (let k = 0; k <= 120; k += 1) { const ms = 10 ** (low + ((high - low) * k) / 120); if (limit(ms) <= top) steps.push(`${steps.length ? "L" : "M"}${x(ms).toFixed(1)} ${y(limit(ms)).toFixed(1)}`); }
      return steps.join("");
    };
    const label = (ms, limit, words, shift) => svg("text", { class: "limit-label", x: x(ms) + shift[0], y: y(limit(ms)) + shift[1], "text-anchor": shift[2] ?? "start" }, words);
    const double = (ms) => ms * 2;
    const hundred = (ms) => ms + 100;
    picture.append(svg("path", { class: "equal", d: curve((ms) => ms) }), svg("path", { class: "limit", d: curve(double) }), svg("path", { class: "limit dashed", d: curve(hundred) }));
    picture.append(label(10 ** (high - 0.6), double, "2×", [-10, -6, "end"]));
    if (hundred(10 ** low) < top) picture.append(label(10 ** low, hundred, "+100 ms", [8, -7]));
    const dots = (points) => points.map(([, a, b]) => `M${x(a).toFixed(1)} ${y(b).toFixed(1)}h0`).join("");
    picture.append(svg("path", { class: "dots", d: dots(run.points.filter((point) => !point[3])) }), svg("path", { class: "dots late", d: dots(run.points.filter((point) => point[3])) }));
    const ring = svg("circle", { class: "ring", r: 7, cx: -20, cy: -20 });
    picture.append(ring);
    if (!narrow) picture.append(svg("text", { x: W - R, y: H - 6, "text-anchor": "end", class: "axis" }, run.controlled ? "control →" : "primary →"), svg("text", { x: 14, y: T + 4, class: "axis", "text-anchor": "end", transform: `rotate(-90 14 ${T + 4})` }, "candidate →"));
    const idle = `${several(run.points.length, "exchange")}, ${run.controlled ? "control (the primary in this run)" : "primary"} across, candidate up; above the lines the candidate is over a limit`;
    const caption = el("p", { class: "caption", role: "status" }, idle);
    const nearest = (event) => {
      const box = picture.getBoundingClientRect();
      const [px, py] = [((event.clientX - box.left) / box.width) * W, ((event.clientY - box.top) / box.height) * H];
      let best = null;
      for (const point of run.points) { const d = (x(point[1]) - px) ** 2 + (y(point[2]) - py) ** 2; if (d < (best?.d ?? 400)) best = { d, point }; }
      return best?.point ?? null;
    };
    picture.addEventListener("pointermove", (event) => {
      const point = nearest(event);
      ring.setAttribute("cx", point ? x(point[1]) : -20);
      ring.setAttribute("cy", point ? y(point[2]) : -20);
      caption.textContent = point ? shown(`#${point[0]} ${run.routes[point[4]]} · ${run.controlled ? "control" : "primary"} ${time(point[1])} · candidate ${time(point[2])}${run.controlled ? ` · recorded ${time(point[5])}` : ""}`) : idle;
    });
    picture.addEventListener("click", (event) => { const point = nearest(event); if (point) { state.q = `#${point[0]}`; apply(); } });
    const late = run.points.filter((point) => point[3]).length;
    return section("latency", "Latency", `Each dot is an exchange; ${late ? `${several(late, "large dot")} with an open timing divergence` : "none has an open timing divergence"}. ${run.timing.length ? `Counted: ${run.timing.map(([name, count]) => `${number(count)} ${name}`).join(" · ")} · ` : ""}noise floor ${run.floor} ms.`, picture, caption);
  }

  // --- percentiles by route ---

  const MOODS = ["late", "slower", "not enough evidence", "alike", "faster", "not judged"];
  function percentiles() {
    const all = run.timings.filter((row) => row.route !== "*");
    if (!all.length) return null;
    const everyone = run.timings.find((row) => row.route === "*");
    const rank = (row) => (row.outcome === "not enough evidence" ? 9 : MOODS.indexOf(row.outcome));
    all.sort((one, two) => rank(one) - rank(two) || two.pairs - one.pairs || (one.route < two.route ? -1 : 1));
    const values = run.timings.flatMap((row) => [row.recorded_ms, row.observed_ms, row.control_ms].filter(Boolean).flatMap((triple) => Object.values(triple))).filter((ms) => ms > 0);
    const low = Math.floor(Math.log10(Math.max(values.reduce((least, ms) => Math.min(least, ms), 1), 0.01)));
    const high = Math.max(Math.ceil(Math.log10(values.reduce((most, ms) => Math.max(most, ms), 1))), low + 1);
    const x = (ms) => 6 + ((Math.log10(Math.max(ms, 10 ** low)) - low) / (high - low)) * 988;
    const lane = (triple, side, y) => triple && [
      svg("line", { class: `span ${side}`, x1: x(triple.p50), x2: Math.max(x(triple.p99), x(triple.p50) + 1), y1: y, y2: y }),
      ...["p50", "p95", "p99"].map((name, place) => svg("circle", { class: `dot ${side}`, r: [5.5, 4, 2.6][place], cx: x(triple[name]), cy: y }, svg("title", {}, `${side} ${name}: ${time(triple[name])}`)))];
    const grid = () => Array.from({ length: high - low + 1 }, (_, place) => svg("line", { class: "grid", x1: x(10 ** (low + place)), x2: x(10 ** (low + place)), y1: 0, y2: 44 }));
    const span = (row) => (row.ratio_low === null || row.ratio_high === null ? null : ` ${fixed(row.ratio_low)} to ${fixed(row.ratio_high)}`);
    const fixed = (value) => (value >= 100 ? number(Math.round(value)) : value >= 10 ? value.toFixed(1) : value.toFixed(2));
    const line = (row, name) => el("li", { class: `timed mood-${row.outcome.replaceAll(" ", "-")}` },
      el("span", { class: "timed-route" }, name ?? el("code", {}, row.route), el("span", { class: "quiet" }, ` n=${number(row.pairs)}`)),
      svg("svg", { class: "percentiles", viewBox: "0 0 1000 44", preserveAspectRatio: "none", role: "img", "aria-label": `candidate p50 ${time(row.observed_ms.p50)}, p95 ${time(row.observed_ms.p95)}, p99 ${time(row.observed_ms.p99)}${row.control_ms ? `; control p50 ${time(row.control_ms.p50)}, p95 ${time(row.control_ms.p95)}, p99 ${time(row.control_ms.p99)}` : ""}` },
        grid(), lane(row.recorded_ms, "recorded", 8), lane(row.control_ms, "control", 22), lane(row.observed_ms, "candidate", 36)),
      el("span", { class: "timed-words" }, el("b", {}, row.outcome), row.ratio === null ? null : [` ×${fixed(row.ratio)}`, el("span", { class: "quiet" }, span(row))]));
    const axis = el("li", { class: "timed axis-row", "aria-hidden": "true" }, el("span"), el("span", { class: "ticks" }, Array.from({ length: high - low + 1 }, (_, place) => { const ms = 10 ** (low + place); return el("span", {}, ms >= 1000 ? `${ms / 1000} s` : `${ms} ms`); })), el("span"));
    const rows = el("ol", { class: "timings" }, axis, everyone ? line(everyone, el("b", {}, "all routes")) : null);
    let there = 0;
    const more = el("button", { type: "button", class: "unfold", on: { click: () => grow(400) } });
    const grow = (count) => {
      for (const row of all.slice(there, there + count)) rows.append(line(row));
      there = Math.min(there + count, all.length);
      more.hidden = there >= all.length;
      more.textContent = several(all.length - there, "more route");
    };
    grow(16);
    const counts = MOODS.map((mood) => [all.filter((row) => row.outcome === mood).length, mood]).filter(([count]) => count).map(([count, mood]) => `${number(count)} ${mood}`);
    return section("percentiles", "Times by route", `${counts.join(" · ")}. ${run.controlled ? "The ratio is candidate over control, pair by pair, in the middle, with an interval; of few pairs there is none, and that is no pass." : "Without a control no route is judged."}`,
      el("ul", { class: "legend" }, ["recorded", "control", "candidate"].filter((side) => side !== "control" || run.controlled).map((side) => el("li", {}, svg("svg", { class: "swatch round", viewBox: "0 0 10 10", "aria-hidden": "true" }, svg("circle", { class: `dot ${side}`, r: 4.5, cx: 5, cy: 5 })), side)), el("li", {}, "large to small: p50, p95, p99")), rows, more);
  }

  // --- planted faults ---

  function strength() {
    if (!run.strength.length) return null;
    const names = [...new Set(run.strength.map((row) => row.domain))];
    const rows = names.map((domain) => {
      const own = run.strength.filter((row) => row.domain === domain);
      const sum = (key) => own.reduce((total, row) => total + row[key], 0);
      const [planted, found, inside, survived] = ["planted", "found", "inside", "survived"].map(sum);
      const parts = [["identical", found], ["noise", inside], ["open", survived]].filter(([, count]) => count);
      let left = 0;
      const picture = svg("svg", { class: "bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", role: "img", "aria-label": `${found} of ${planted} found, ${survived} let through` });
      const widths = parts.map(([, count]) => Math.max((count / planted) * 100, 1.4));
      const whole = widths.reduce((total, width) => total + width, 0);
      parts.forEach(([name], place) => { const width = (widths[place] / whole) * 100; picture.append(svg("rect", { class: `box-${name}`, x: left, y: 0, width, height: 10 })); left += width; });
      const through = own.filter((row) => row.survivors.length);
      return el("li", { class: "planted" }, el("span", { class: "domain-name" }, domain), picture,
        el("span", { class: "domain-rate" }, el("b", {}, number(found)), el("span", { class: "quiet" }, ` of ${number(planted)} found${inside ? `, ${number(inside)} inside what the primary does` : ""}`)),
        el("span", { class: "domain-open" }, survived ? el("span", { class: "differs" }, `${number(survived)} let through`) : el("span", { class: "quiet" }, "none let through")),
        through.length ? el("details", { class: "fold" }, el("summary", {}, "what was let through"), el("ul", { class: "rows" }, through.flatMap((row) => row.survivors.map((words) => el("li", {}, el("code", {}, row.route), ` ${words}`))))) : null);
    });
    return section("strength", "Planted faults", "Answers were changed on purpose, and judged by the same relations, rules and noise: what they let through, a true difference could hide behind.", el("ol", { class: "strip" }, rows));
  }

  // --- streams ---

  function streams() {
    if (!run.streams.rows.length) return null;
    const rows = run.streams.rows.map(([key, name, chunks]) => {
      const end = Math.max(1, ...chunks.map(([, ms]) => ms));
      const lane = (side) => {
        const own = chunks.filter(([which]) => which === side);
        const picture = svg("svg", { class: "lane", viewBox: "0 0 1000 20", preserveAspectRatio: "none", role: "img", "aria-label": `${side}: ${several(own.length, "chunk")}` }, svg("line", { class: "grid", x1: 0, x2: 1000, y1: 10, y2: 10 }));
        if (own.length) picture.append(svg("path", { class: `events ${side}`, d: own.map(([, ms]) => `M${(4 + (ms / end) * 992).toFixed(1)} 2v16`).join("") }));
        return el("div", { class: "lane-row" }, el("span", { class: "lane-name" }, side), picture, el("span", { class: "lane-count" }, several(own.length, "chunk")));
      };
      const sides = ["primary", "candidate", ...new Set(chunks.map(([side]) => side).filter((side) => side !== "primary" && side !== "candidate"))];
      return el("div", { class: "stream" }, el("p", { class: "asked" }, el("b", {}, `#${key}`), " ", el("code", {}, name), el("span", { class: "quiet" }, ` · ${time(end)}`)), sides.map(lane));
    });
    return section("streams", "Streams", "Each mark is a chunk, at its time after the request; both lanes have one scale.", rows, run.streams.more ? el("p", { class: "note" }, `and ${several(run.streams.more, "more stream")}`) : null);
  }

  // --- gaps, what was tolerated, who was compared ---

  function gaps() {
    const total = run.gaps.reduce((sum, group) => sum + group.count, 0);
    return section("gaps", "Gaps", total ? `${several(total, "exchange")} planned and not compared, each with its reason. A gap is never a pass.` : "None: every planned exchange was compared.", run.gaps.map((group) => {
      const node = el("details", { class: "fold wide-fold" }, el("summary", {}, el("b", {}, number(group.count)), ` ${group.reason}`));
      node.addEventListener("toggle", () => {
        if (!node.open || node.childElementCount > 1) return;
        fill(node, [el("ul", { class: "rows" }, group.items.map(([key, domain, name, detail]) => el("li", {}, el("b", {}, `#${key}`), " ", el("code", {}, name), el("span", { class: "quiet" }, ` ${domain}${detail ? ` · ${detail}` : ""}`)))), group.count > group.items.length ? el("p", { class: "note" }, `and ${number(group.count - group.items.length)} more`) : null]);
      });
      if (total <= 12) node.open = true;
      return node;
    }));
  }
  function tolerated() {
    const leaves = run.relations.reduce((sum, row) => sum + row[3], 0);
    const names = new Map();
    for (const row of run.relations) names.set(row[0], [...(names.get(row[0]) ?? []), row]);
    return section("tolerated", "Tolerated and left out", "What was found unequal and let pass, and what was not looked at: counted, so that nothing hides here.",
      run.relations.length ? [...names].map(([name, rows]) => {
        const node = el("details", { class: "fold wide-fold" }, el("summary", {}, el("b", {}, number(rows.reduce((sum, row) => sum + row[3], 0))), ` ${name}`, el("span", { class: "quiet" }, ` at ${several(rows.length, "place")}`)));
        node.addEventListener("toggle", () => { if (node.open && node.childElementCount === 1) node.append(el("ul", { class: "rows" }, rows.slice(0, 400).map(([, route, path, count]) => el("li", {}, el("b", {}, number(count)), " ", el("code", {}, route), " ", el("code", { class: "path" }, path)))), rows.length > 400 ? el("p", { class: "note" }, `and ${number(rows.length - 400)} more places`) : ""); });
        return node;
      }) : el("p", { class: "note" }, "No relation was tolerated."),
      run.relations.length ? el("p", { class: "note" }, `${number(leaves)} leaves tolerated in all.`) : null,
      run.notCompared.length ? el("p", {}, "Not compared: ", run.notCompared.map(([name, count], place) => [place ? ", " : null, el("code", {}, name), ` ${number(count)}`])) : null);
  }
  function colophon() {
    return section("facts", "Who was compared", null, el("dl", { class: "facts" }, run.facts.map(([name, words]) => [el("dt", {}, name), el("dd", {}, words)])),
      run.missed.map((words) => el("p", { class: "differs" }, `Canary not found: ${words}`)));
  }
  const rest = [scatter(), percentiles(), streams(), strength(), gaps(), tolerated(), colophon()].filter(Boolean);
  main.append(...rest);

  // --- keyboard ---

  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, select, textarea");
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && typing) { event.target.blur(); return; }
    if (typing) return;
    if (event.key === "/") { event.preventDefault(); search.focus(); search.select(); return; }
    if (event.key === "Enter" || event.key === " ") byKey = event.target.matches?.(".card > summary") ?? false;
    if (event.key !== "j" && event.key !== "k") return;
    const cards = [...list.children];
    const here = cards.indexOf(document.activeElement?.closest?.(".card") ?? document.getElementById(`cause-${ownerOf(state.open)?.id}`));
    let next = event.key === "j" ? here + 1 : here - 1;
    if (next >= cards.length && drawn < visibleCauses.length) { draw(PAGE); cards.push(...[...list.children].slice(cards.length)); }
    next = Math.max(0, Math.min(next, cards.length - 1));
    const summary = cards[next]?.firstElementChild;
    summary?.focus();
    cards[next]?.scrollIntoView({ block: "nearest" });
  });
  addEventListener("hashchange", () => { readAddress(); apply(); });

  readAddress();
  apply();
  if (state.open) reveal(state.open);
  document.documentElement.dataset.drawn = String(run.causes.length);
})();
