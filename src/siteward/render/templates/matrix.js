"use strict";
(() => {
  const LINE = 18, COL = 52, TOP = 29, SPARE = 8, BATCH = 100, LETTERS = " VEMA", CLASSES = " vema";
  const data = JSON.parse(document.getElementById("data").textContent);
  const [NAME, KIND, ABOUT, CELLS] = [0, 1, 2, 3];
  const [COLUMN, LIVE, DECLARED, LIVE_POWER, DECLARED_POWER, MARKS, WHY] = [0, 1, 2, 3, 4, 5, 6];
  const byId = (id) => document.getElementById(id);
  const grid = byId("grid"), detail = byId("detail"), paper = byId("paper"), list = byId("list"), main = grid.parentElement;
  const fields = ["people", "sites", "instance", "power", "kind", "only"];
  const narrow = matchMedia("(max-width: 46rem)");
  let rows = [], columns = [], edges = [0], at = [0, 0], drawn = "", listed = BATCH;
  let wide = 180, high = 28, head = 150;

  const make = (tag, className, ...content) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    element.append(...content);
    return element;
  };
  const role = (element, name, more) => {
    element.setAttribute("role", name);
    for (const [key, value] of Object.entries(more || {})) element.setAttribute(key, String(value));
    return element;
  };
  const place = (element, box) => {
    for (const [side, size] of Object.entries(box)) element.style[side] = size + "px";
    return element;
  };
  const link = (text, ...path) => {
    const element = make("a", "", text);
    element.href = "#" + path.map(encodeURIComponent).join("/");
    return element;
  };
  const option = (select, value, text) => {
    const element = make("option", "", text);
    element.value = value;
    select.append(element);
  };
  const instanceOf = (column) => data.instances[data.columns[column][0]];
  const personLink = (row) => link(row[NAME], "person", row[NAME]);
  const siteLink = (column) => link(data.columns[column][1], "site", instanceOf(column), data.columns[column][1]);
  const instanceLink = (name) => link(name, "instance", name);

  data.instances.forEach((name, index) => option(byId("instance"), String(index), name));
  [...new Set(data.rows.map((row) => row[KIND]))].sort().forEach((kind) => option(byId("kind"), kind, kind));
  for (const row of data.rows) row.byColumn = new Map(row[CELLS].map((cell) => [cell[COLUMN], cell]));

  const canvas = role(make("div", "canvas"), "presentation"), top = role(make("div", "head"), "rowgroup");
  const rules = role(make("div", ""), "presentation"), body = role(make("div", "body"), "rowgroup");
  canvas.append(top, rules, body);
  grid.append(canvas);

  // Widths are measured, so that no name is ever cut.
  const pen = document.createElement("canvas").getContext("2d"), family = getComputedStyle(document.body).fontFamily;
  const width = (text, font) => {
    pen.font = font + " " + family;
    return pen.measureText(text).width;
  };
  const longest = (texts, font) => texts.reduce((most, text) => Math.max(most, width(text, font)), 0);
  const names = longest(data.rows.map((row) => row[NAME] + (row[KIND] === "person" ? "" : "  " + row[KIND])), "15px") + 32;
  const heads = data.instances.map((name) => width(name, "600 13px") + 24);

  const power = (cell) => Math.max(cell[LIVE_POWER], cell[DECLARED_POWER]);
  const wanted = () => Object.fromEntries(fields.map((id) => [id, byId(id).value.trim().toLowerCase()]));

  function sift() {
    const ask = wanted(), least = Number(ask.power);
    const shown = (column) => (!ask.instance || column[0] === Number(ask.instance)) && column[1].toLowerCase().includes(ask.sites);
    const open = new Set(data.columns.flatMap((column, index) => (shown(column) ? [index] : [])));
    const fits = (cell) => open.has(cell[COLUMN]) && power(cell) >= least && cell[MARKS].includes(ask.only);
    const picky = Boolean(least || ask.only || ask.sites || ask.instance);
    const named = (row) => !ask.people || [row[NAME], ...row[ABOUT]].join(" ").toLowerCase().includes(ask.people);
    const kept = new Set();
    rows = data.rows.filter((row) => {
      if (!named(row) || (ask.kind && row[KIND] !== ask.kind)) return false;
      const cells = row[CELLS].filter(fits);
      cells.forEach((cell) => kept.add(cell[COLUMN]));
      return cells.length > 0 || !picky;
    });
    columns = [...open].filter((index) => !(least || ask.only) || kept.has(index)).sort((a, b) => a - b);
    at = [Math.min(at[0], Math.max(rows.length - 1, 0)), Math.min(at[1], Math.max(columns.length - 1, 0))];
    listed = BATCH;
    show();
  }

  function show() {
    main.dataset.view = byId("view").value || (narrow.matches ? "list" : "grid");
    drawn = "";
    if (main.dataset.view === "list") return drawList();
    list.replaceChildren();
    measure();
    draw();
    tell();
  }

  function measure() {
    wide = Math.min(Math.max(180, names), Math.max(140, Math.min(420, grid.clientWidth * 0.4)));
    high = 10 + LINE * (names > wide ? Math.ceil((names * 1.15) / (wide - 20)) : 1);
    const tall = longest(columns.map((column) => data.columns[column][1]), "13px") + 16;
    head = TOP + Math.max(80, Math.min(tall, 190), (tall * 1.15) / 3);
    const many = new Map();
    for (const column of columns) many.set(data.columns[column][0], (many.get(data.columns[column][0]) || 0) + 1);
    edges = [wide];
    for (const column of columns) {
      const instance = data.columns[column][0];
      edges.push(edges[edges.length - 1] + Math.max(COL, Math.ceil(heads[instance] / many.get(instance))));
    }
    place(canvas, { width: edges[columns.length] + 16, height: head + rows.length * high });
    grid.setAttribute("aria-rowcount", String(rows.length + 2));
    grid.setAttribute("aria-colcount", String(columns.length + 1));
  }

  const box = (c) => ({ left: edges[c], width: edges[c + 1] - edges[c] });
  const columnAt = (x) => Math.max(0, edges.findIndex((edge) => edge > x) - 1);
  const letter = (value) => LETTERS[value].trim() || "·";
  function face(cell) {
    const [live, declared] = [letter(cell[LIVE_POWER]), letter(cell[DECLARED_POWER])];
    const ends = (cell[MARKS].includes("e") ? "*" : "") + (cell[MARKS].includes("p") ? "?" : "");
    const differs = cell[MARKS].includes("d");
    if (!cell[LIVE]) return "+" + declared + ends;
    if (!cell[DECLARED]) return (differs ? "−" : "") + live + ends;
    return (differs ? live + "→" + declared : live) + ends;
  }

  function draw() {
    const first = Math.max(0, Math.floor(grid.scrollTop / high) - SPARE);
    const last = Math.min(rows.length, Math.ceil((grid.scrollTop + grid.clientHeight) / high) + SPARE);
    const past = edges.findIndex((edge) => edge > grid.scrollLeft + grid.clientWidth);
    const left = Math.max(0, columnAt(grid.scrollLeft) - SPARE);
    const right = Math.min(columns.length, (past < 0 ? columns.length : past) + SPARE);
    const key = [first, last, left, right, at].join();
    if (key === drawn) return;
    drawn = key;
    drawHead(left, right);
    rules.replaceChildren(...columns.slice(left, right).map((column, step) => {
      const c = left + step, start = c === 0 || data.columns[columns[c - 1]][0] !== data.columns[column][0];
      return place(make("div", start ? "rule start" : "rule"), { left: edges[c], top: head, height: rows.length * high });
    }));
    const lines = [];
    for (let r = first; r < last; r++) lines.push(line(r, left, right));
    body.replaceChildren(...lines);
    if (byId("here")) grid.setAttribute("aria-activedescendant", "here");
    else grid.removeAttribute("aria-activedescendant");
  }

  function drawHead(left, right) {
    const above = role(make("div", ""), "row", { "aria-rowindex": 1 }), below = role(make("div", ""), "row", { "aria-rowindex": 2 });
    const corner = make("div", "corner", rows.length + (rows.length === 1 ? " person · " : " people · ") + columns.length + (columns.length === 1 ? " place" : " places"));
    above.append(place(role(corner, "columnheader", { "aria-colindex": 1, "aria-rowspan": 2 }), { width: wide }));
    above.style.height = below.style.height = "0";
    corner.style.height = head + "px";
    for (let c = left; c < right; c++) {
      const [instance, name] = data.columns[columns[c]];
      const title = place(role(make("div", "site", siteLink(columns[c])), "columnheader", { "aria-colindex": c + 2 }), { ...box(c), height: head - TOP - 8 });
      title.title = name + " on " + data.instances[instance];
      title.firstChild.tabIndex = -1;
      below.append(title);
      if (c > left && data.columns[columns[c - 1]][0] === instance) continue;
      let [start, end] = [c, c + 1];
      while (start > 0 && data.columns[columns[start - 1]][0] === instance) start--;
      while (end < columns.length && data.columns[columns[end]][0] === instance) end++;
      const group = make("div", "instance", place(instanceLink(data.instances[instance]), { left: wide }));
      group.firstChild.tabIndex = -1;
      role(group, "columnheader", { "aria-colindex": start + 2, "aria-colspan": end - start });
      above.append(place(group, { left: edges[start], width: edges[end] - edges[start], height: TOP }));
    }
    place(top, { height: head }).replaceChildren(above, below);
    for (const title of below.children) title.style.bottom = "4px";
  }

  function line(r, left, right) {
    const row = rows[r], element = place(make("div", "row"), { top: head + r * high, height: high, width: edges[columns.length] });
    role(element, "row", { "aria-rowindex": r + 3 });
    const who = place(role(make("div", "who", make("span", "name", row[NAME])), "rowheader", { "aria-colindex": 1 }), { width: wide });
    who.title = [row[NAME], ...row[ABOUT]].join("\n");
    if (row[KIND] !== "person") who.append(make("small", "", row[KIND]));
    element.append(who);
    for (let c = left; c < right; c++) {
      const cell = row.byColumn.get(columns[c]), here = r === at[0] && c === at[1];
      if (!cell && !here) continue;
      const inner = place(role(make("div", "cell", cell ? face(cell) : ""), "gridcell", { "aria-colindex": c + 2 }), box(c));
      if (cell) inner.classList.add(CLASSES[power(cell)].trim() || "v");
      if (cell && cell[MARKS].includes("d")) inner.classList.add("drift");
      if (here) {
        inner.classList.add("here");
        inner.id = "here";
      }
      inner.dataset.r = r;
      inner.dataset.c = c;
      element.append(inner);
    }
    return element;
  }

  function words(cell) {
    const why = cell[WHY] ? " · " + cell[WHY] : "";
    if (cell[MARKS].includes("d"))
      return "live " + (cell[LIVE] || "none") + ", " + (cell[DECLARED] ? "declared " + cell[DECLARED] : "not in the file") + why;
    return cell[LIVE] + (cell[DECLARED] ? ", as declared" : ", no difference") + why;
  }

  function tell() {
    const row = rows[at[0]], column = columns[at[1]];
    if (!row || column === undefined) {
      detail.textContent = "Nothing fits these filters.";
      return;
    }
    const cell = row.byColumn.get(column);
    detail.replaceChildren(
      personLink(row), " at ", siteLink(column), " on ", instanceLink(instanceOf(column)), ": ",
      (cell ? words(cell) : "nothing") + " · " + row[ABOUT].join(" · "),
    );
  }

  function go(r, c) {
    at = [Math.max(0, Math.min(r, rows.length - 1)), Math.max(0, Math.min(c, columns.length - 1))];
    const y = at[0] * high, tall = grid.clientHeight - head - high;
    grid.scrollTop = Math.min(y, Math.max(grid.scrollTop, y - tall));
    const from = edges[at[1]] - wide, to = (edges[at[1] + 1] || wide) - grid.clientWidth;
    grid.scrollLeft = Math.min(from, Math.max(grid.scrollLeft, to));
    draw();
    tell();
  }

  function drawList() {
    const open = new Set(columns), shown = rows.slice(0, listed).map((row) => person(row, open));
    const total = make("p", "soft", rows.length ? rows.length + (rows.length === 1 ? " person" : " people") : "Nothing fits these filters.");
    const rest = rows.length - shown.length;
    if (rest > 0) {
      const more = make("button", "", "Show " + Math.min(BATCH, rest) + " more of " + rest);
      more.type = "button";
      more.addEventListener("click", () => {
        const next = listed;
        listed += BATCH;
        drawList();
        list.querySelectorAll(".person")[next].focus();
      });
      shown.push(more);
    }
    list.replaceChildren(total, ...shown);
  }

  function person(row, open) {
    const title = make("h2", "", personLink(row));
    if (row[KIND] !== "person") title.append(" ", make("span", "badge", row[KIND]));
    const element = make("section", "person", title);
    element.id = "person/" + encodeURIComponent(row[NAME]);
    element.tabIndex = -1;
    const cells = row[CELLS].filter((cell) => open.has(cell[COLUMN])).sort((a, b) => a[COLUMN] - b[COLUMN]);
    for (const about of row[ABOUT]) element.append(make("p", "soft", about));
    if (!cells.length) element.append(make("p", "soft", "No rights here."));
    let rights = null, last = -1;
    for (const cell of cells) {
      if (data.columns[cell[COLUMN]][0] !== last) {
        last = data.columns[cell[COLUMN]][0];
        rights = make("ul", "");
        element.append(make("h3", "", instanceLink(data.instances[last])), rights);
      }
      rights.append(right(cell));
    }
    return element;
  }

  function right(cell) {
    const element = make("li", "", make("span", "right " + (CLASSES[power(cell)].trim() || "v"), cell[LIVE] || cell[DECLARED]), " on ", siteLink(cell[COLUMN]));
    const badge = (text, kind) => element.append(" ", make("span", "badge " + kind, text));
    if (!cell[LIVE]) badge("declared, not live", "warn");
    else if (cell[MARKS].includes("d")) badge(cell[DECLARED] ? "declared: " + cell[DECLARED] : "not in the file", "warn");
    else if (!cell[DECLARED]) badge("no difference", "");
    if (cell[MARKS].includes("p")) badge("pending", "");
    if (cell[MARKS].includes("e")) badge("ends soon", "warn");
    if (cell[WHY]) element.append(" ", make("span", "soft", cell[WHY]));
    return element;
  }

  // An address leads to a person, to a site, or to an instance: #person/NAME, #site/INSTANCE/PLACE, #instance/NAME.
  function route() {
    let kind = "", rest = [];
    try {
      [kind, ...rest] = location.hash.slice(1).split("/").map(decodeURIComponent);
    } catch {
      return;
    }
    if (kind === "person") return toPerson(rest[0]);
    const instance = data.instances.indexOf(rest[0]);
    if (instance < 0 || !["site", "instance"].includes(kind)) return;
    byId("filters").reset();
    byId("instance").value = String(instance);
    byId("sites").value = kind === "site" ? rest[1] || "" : "";
    sift();
  }

  function toPerson(name) {
    const find = () => rows.findIndex((row) => row[NAME] === name);
    if (!data.rows.some((row) => row[NAME] === name)) return;
    if (find() < 0) {
      for (const id of fields) byId(id).value = id === "power" ? "0" : "";
      sift();
    }
    const r = find();
    if (main.dataset.view === "grid") {
      go(r, at[1]);
      grid.focus();
      return;
    }
    if (r >= listed) {
      listed = Math.ceil((r + 1) / BATCH) * BATCH;
      drawList();
    }
    const element = byId("person/" + encodeURIComponent(name));
    element.scrollIntoView();
    element.focus();
  }

  const page = () => Math.max(1, Math.floor((grid.clientHeight - head) / high) - 1);
  const moves = {
    ArrowUp: () => [at[0] - 1, at[1]],
    ArrowDown: () => [at[0] + 1, at[1]],
    ArrowLeft: () => [at[0], at[1] - 1],
    ArrowRight: () => [at[0], at[1] + 1],
    PageUp: () => [at[0] - page(), at[1]],
    PageDown: () => [at[0] + page(), at[1]],
    Home: (event) => [event.ctrlKey ? 0 : at[0], 0],
    End: (event) => [event.ctrlKey ? rows.length - 1 : at[0], columns.length - 1],
  };
  grid.addEventListener("keydown", (event) => {
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    go(...move(event));
  });
  grid.addEventListener("click", (event) => {
    if (event.target.closest("a")) return;
    const inner = event.target.closest("[data-r]"), row = event.target.closest(".row");
    const x = event.clientX - grid.getBoundingClientRect().left;
    if (inner) go(Number(inner.dataset.r), Number(inner.dataset.c));
    else if (row) go(Number(row.getAttribute("aria-rowindex")) - 3, x < wide ? at[1] : columnAt(x + grid.scrollLeft));
  });

  let waiting = false;
  grid.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw();
    });
  });
  addEventListener("resize", () => main.dataset.view === "grid" && show());
  narrow.addEventListener("change", show);
  byId("view").addEventListener("input", show);
  fields.forEach((id) => byId(id).addEventListener("input", sift));
  byId("filters").addEventListener("reset", () => setTimeout(sift));
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", route);

  addEventListener("beforeprint", () => {
    const open = new Set(columns), titles = make("tr", ""), lines = make("tbody", "");
    for (const title of ["who", "instance", "where", "live and declared"]) titles.append(make("th", "", title));
    for (const row of rows)
      for (const cell of row[CELLS]) {
        if (!open.has(cell[COLUMN])) continue;
        const texts = [row[NAME], instanceOf(cell[COLUMN]), data.columns[cell[COLUMN]][1], words(cell)];
        lines.append(make("tr", "", ...texts.map((text) => make("td", "", text))));
      }
    paper.replaceChildren(make("thead", "", titles), lines);
    paper.hidden = false;
  });
  addEventListener("afterprint", () => {
    paper.replaceChildren();
    paper.hidden = true;
  });

  sift();
  route();
})();
