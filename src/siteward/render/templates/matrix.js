"use strict";
(() => {
  const ROW = 28, COL = 52, HEAD = 150, SPARE = 8, LETTERS = " VEMA", CLASSES = " vema";
  const data = JSON.parse(document.getElementById("data").textContent);
  const [NAME, KIND, ABOUT, CELLS] = [0, 1, 2, 3];
  const [COLUMN, LIVE, DECLARED, LIVE_POWER, DECLARED_POWER, MARKS, WHY] = [0, 1, 2, 3, 4, 5, 6];
  const byId = (id) => document.getElementById(id);
  const grid = byId("grid"), detail = byId("detail"), paper = byId("paper");
  const fields = ["people", "sites", "instance", "power", "kind", "only"];
  const WHO = Math.min(520, Math.max(180, ...data.rows.map((row) => 9 * row[NAME].length + 7 * row[KIND].length + 40)));
  let rows = [], columns = [], at = [0, 0], drawn = "";

  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const place = (element, box) => {
    for (const [side, size] of Object.entries(box)) element.style[side] = size + "px";
    return element;
  };
  const option = (select, value, text) => {
    const element = make("option", "", text);
    element.value = value;
    select.append(element);
  };

  data.instances.forEach((name, index) => option(byId("instance"), String(index), name));
  [...new Set(data.rows.map((row) => row[KIND]))].sort().forEach((kind) => option(byId("kind"), kind, kind));
  for (const row of data.rows) row.byColumn = new Map(row[CELLS].map((cell) => [cell[COLUMN], cell]));

  const canvas = make("div", "canvas"), head = make("div", "head"), body = make("div", "body");
  canvas.append(head, body);
  grid.append(canvas);

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
    place(canvas, { width: WHO + columns.length * COL + HEAD, height: HEAD + rows.length * ROW });
    grid.setAttribute("aria-rowcount", String(rows.length + 1));
    grid.setAttribute("aria-colcount", String(columns.length + 1));
    drawn = "";
    draw();
    tell();
  }

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
    const top = Math.max(0, Math.floor(grid.scrollTop / ROW) - SPARE);
    const bottom = Math.min(rows.length, Math.ceil((grid.scrollTop + grid.clientHeight) / ROW) + SPARE);
    const left = Math.max(0, Math.floor(grid.scrollLeft / COL) - SPARE);
    const right = Math.min(columns.length, Math.ceil((grid.scrollLeft + grid.clientWidth) / COL) + SPARE);
    const key = [top, bottom, left, right, at].join();
    if (key === drawn) return;
    drawn = key;
    const titles = [place(make("div", "corner", rows.length + " people · " + columns.length + " places"), { width: WHO })];
    for (let c = left; c < right; c++) {
      const title = place(make("div", "site", data.columns[columns[c]][1]), { left: WHO + c * COL });
      title.setAttribute("role", "columnheader");
      titles.push(title);
    }
    place(head, { height: HEAD }).replaceChildren(...titles);
    const lines = [];
    for (let r = top; r < bottom; r++) lines.push(line(r, left, right));
    body.replaceChildren(...lines);
  }

  function line(r, left, right) {
    const row = rows[r], element = place(make("div", "row"), { top: HEAD + r * ROW, height: ROW, width: WHO + columns.length * COL });
    element.style.backgroundPositionX = WHO + "px";
    element.setAttribute("role", "row");
    element.setAttribute("aria-rowindex", String(r + 2));
    const who = place(make("div", "who", row[NAME]), { width: WHO });
    who.setAttribute("role", "rowheader");
    who.title = [row[NAME], ...row[ABOUT]].join("\n");
    if (row[KIND] !== "person") who.append(make("small", "", row[KIND]));
    element.append(who);
    for (let c = left; c < right; c++) {
      const cell = row.byColumn.get(columns[c]), here = r === at[0] && c === at[1];
      if (!cell && !here) continue;
      const box = place(make("div", "cell", cell ? face(cell) : ""), { left: WHO + c * COL, width: COL });
      box.setAttribute("role", "gridcell");
      box.setAttribute("aria-colindex", String(c + 2));
      if (cell) box.classList.add(CLASSES[power(cell)].trim() || "v");
      if (cell && cell[MARKS].includes("d")) box.classList.add("drift");
      if (here) {
        box.classList.add("here");
        box.id = "here";
        grid.setAttribute("aria-activedescendant", "here");
      }
      box.dataset.r = r;
      box.dataset.c = c;
      element.append(box);
    }
    return element;
  }

  const words = (cell) => "live " + (cell[LIVE] || "none") + ", declared " + (cell[DECLARED] || "none") + (cell[WHY] ? " · " + cell[WHY] : "");
  function tell() {
    const row = rows[at[0]], column = data.columns[columns[at[1]]];
    if (!row || !column) {
      detail.textContent = "Nothing fits these filters.";
      return;
    }
    const cell = row.byColumn.get(columns[at[1]]);
    const site = column[1] + " on " + data.instances[column[0]];
    detail.textContent = row[NAME] + " at " + site + ": " + (cell ? words(cell) : "nothing") + " · " + row[ABOUT].join(" · ");
  }

  function go(r, c) {
    at = [Math.max(0, Math.min(r, rows.length - 1)), Math.max(0, Math.min(c, columns.length - 1))];
    const [y, x] = [at[0] * ROW, at[1] * COL];
    const high = grid.clientHeight - HEAD - ROW, wide = grid.clientWidth - WHO - COL;
    grid.scrollTop = Math.min(y, Math.max(grid.scrollTop, y - high));
    grid.scrollLeft = Math.min(x, Math.max(grid.scrollLeft, x - wide));
    draw();
    tell();
  }

  const page = () => Math.max(1, Math.floor((grid.clientHeight - HEAD) / ROW) - 1);
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
    const box = event.target.closest("[data-r]"), row = event.target.closest("[role=row]");
    if (box) go(Number(box.dataset.r), Number(box.dataset.c));
    else if (row) go(Number(row.getAttribute("aria-rowindex")) - 2, Math.floor((event.clientX - grid.getBoundingClientRect().left + grid.scrollLeft - WHO) / COL));
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
  addEventListener("resize", draw);
  fields.forEach((id) => byId(id).addEventListener("input", sift));
  byId("filters").addEventListener("reset", () => setTimeout(sift));
  byId("filters").addEventListener("submit", (event) => event.preventDefault());

  addEventListener("beforeprint", () => {
    const open = new Set(columns), head = make("thead"), titles = make("tr"), list = make("tbody");
    for (const title of ["who", "where", "live and declared"]) titles.append(make("th", "", title));
    head.append(titles);
    for (const row of rows)
      for (const cell of row[CELLS]) {
        if (!open.has(cell[COLUMN])) continue;
        const line = make("tr"), column = data.columns[cell[COLUMN]];
        line.append(make("td", "", row[NAME]), make("td", "", column[1] + " on " + data.instances[column[0]]), make("td", "", words(cell)));
        list.append(line);
      }
    paper.replaceChildren(head, list);
    paper.hidden = false;
  });
  addEventListener("afterprint", () => {
    paper.replaceChildren();
    paper.hidden = true;
  });

  sift();
})();
