// SPDX-License-Identifier: MIT
// The page of an HTML export: a flamegraph on a canvas and tables, out of the JSON in #data.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const ROW = 19;
  const KINDS = ["program", "kernel", "JIT code", "vDSO", "target"];
  const LANE = 4;
  const dark = matchMedia("(prefers-color-scheme: dark)");

  // ---- numbers ----

  const time = (ns) => {
    if (ns >= 1e9) return (ns / 1e9).toFixed(ns >= 1e11 ? 0 : ns >= 1e10 ? 1 : 2) + " s";
    if (ns >= 1e6) return (ns / 1e6).toFixed(ns >= 1e8 ? 0 : ns >= 1e7 ? 1 : 2) + " ms";
    if (ns >= 1e3) return (ns / 1e3).toFixed(1) + " µs";
    return ns + " ns";
  };
  const count = (n) => n.toLocaleString("en-US");
  const percent = (part, whole) => (whole > 0 ? (100 * part / whole).toFixed(2) : "0.00") + " %";
  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  // ---- trees: rows in preorder become nodes with children ----

  const treeOf = (rows) => {
    const path = [];
    for (let i = 0; i < rows.depth.length; i++) {
      const node = {
        name: data.strings[rows.name[i]], image: data.strings[rows.image[i]], kind: rows.kind[i] & 7,
        inlined: (rows.kind[i] & 8) !== 0, ns: rows.ns[i], self: rows.self[i], n: rows.n[i],
        depth: rows.depth[i], children: [], parent: null,
      };
      if (node.depth > 0) {
        node.parent = path[node.depth - 1];
        node.parent.children.push(node);
      }
      path[node.depth] = node;
    }
    return path[0];
  };

  // What ran innermost on top, its callers below it.
  const invert = (root) => {
    const made = { name: root.name, image: "", kind: 0, inlined: false, ns: root.ns, self: 0, n: root.n,
                   depth: 0, children: [], parent: null, known: new Map() };
    const add = (parent, node, ns) => {
      const key = node.name + "\0" + node.image + "\0" + node.inlined;
      let child = parent.known.get(key);
      if (!child) {
        child = { name: node.name, image: node.image, kind: node.kind, inlined: node.inlined, ns: 0,
                  self: 0, n: 0, depth: parent.depth + 1, children: [], parent, known: new Map() };
        parent.known.set(key, child);
        parent.children.push(child);
      }
      child.ns += ns;
      return child;
    };
    const visit = (node) => {
      if (node.self > 0 && node.parent) {
        let at = made;
        for (let up = node; up.parent; up = up.parent) at = add(at, up, node.self);
      }
      node.children.forEach(visit);
    };
    const sort = (node) => {
      node.known = null;
      node.children.sort((a, b) => b.ns - a.ns);
      node.children.forEach(sort);
    };
    visit(root);
    sort(made);
    return made;
  };

  const deepest = (node) => {
    let depth = node.depth;
    for (const child of node.children) depth = Math.max(depth, deepest(child));
    return depth;
  };

  // ---- the flamegraph ----

  const trees = { cpu: treeOf(data.cpu), off: treeOf(data.off) };
  const inverted = {};
  const canvas = $("flame"), box = canvas.parentElement;
  let mode = trees.cpu.ns > 0 || trees.off.ns === 0 ? "cpu" : "off", isInverted = false;
  let root = trees[mode], zoom = root, hovered = null, drawn = [], wanted = null;

  const hash = (text) => {
    let value = 2166136261;
    for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 16777619);
    return value >>> 0;
  };
  const colour = (node) => {
    if (!node.parent || (node.image === "" && node.kind !== LANE)) return dark.matches ? "hsl(220,8%,34%)" : "hsl(220,10%,84%)";
    const value = hash(node.name);
    const hues = [18 + value % 30, 205 + value % 22, 100 + value % 30, 280, 300];
    const light = dark.matches ? 40 + (value >> 8) % 9 : 66 + (value >> 8) % 10;
    const strength = (dark.matches ? 50 : 80) - (node.inlined ? 25 : 0);
    return `hsl(${hues[node.kind]},${strength}%,${light + (node.inlined ? 5 : 0)}%)`;
  };

  const draw = () => {
    const ratio = devicePixelRatio || 1, width = box.clientWidth;
    const height = (deepest(zoom) + 1) * ROW + 2;
    canvas.style.width = width + "px";
    canvas.style.height = height + "px";
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.font = '12px ui-monospace, "SF Mono", "DejaVu Sans Mono", Menlo, monospace';
    context.textBaseline = "middle";
    const letter = context.measureText("m").width;
    const style = getComputedStyle(document.body);
    const text = style.color, hit = style.getPropertyValue("--hit").trim();
    drawn = [];
    const put = (node, x, w) => {
      if (w < 0.4) return;
      const y = node.depth * ROW + 1;
      const isHit = wanted && wanted(node);
      context.globalAlpha = wanted && !isHit ? 0.35 : 1;
      context.fillStyle = isHit ? hit : colour(node);
      context.fillRect(x, y, Math.max(w - 0.7, 0.4), ROW - 1);
      const fits = Math.floor((w - 8) / letter);
      if (fits >= 3) {
        context.fillStyle = isHit ? "#fff" : text;
        context.fillText(node.name.length <= fits ? node.name : node.name.slice(0, fits - 1) + "…",
                         x + 4, y + ROW / 2);
      }
      context.globalAlpha = 1;
      if (node === hovered) {
        context.strokeStyle = text;
        context.strokeRect(x + 0.5, y + 0.5, Math.max(w - 1.7, 0.5), ROW - 2);
      }
      drawn.push({ node, x, y, w });
    };
    const putAll = (node, x, w) => {
      put(node, x, w);
      let at = x;
      for (const child of node.children) {
        const part = node.ns > 0 ? w * child.ns / node.ns : 0;
        if (part >= 0.4) putAll(child, at, part);
        at += part;
      }
    };
    for (let up = zoom.parent; up; up = up.parent) put(up, 0, width);
    if (zoom.ns > 0) putAll(zoom, 0, width);
    $("reset").disabled = zoom === root;
  };

  const describe = (node) => {
    const detail = $("detail");
    detail.textContent = "";
    if (!node) {
      detail.append(element("span", "soft", "Point at a box to see it, click to zoom in, Esc to zoom out."));
      return;
    }
    detail.append(node.name);
    const where = node.image ? `  ${node.image}${node.inlined ? ", inlined" : ""}, ${KINDS[node.kind]}` : "";
    detail.append(element("span", "soft", where), element("br"));
    let line = `${time(node.ns)}, ${percent(node.ns, root.ns)} of all`;
    if (zoom !== root) line += `, ${percent(node.ns, zoom.ns)} of ${zoom.name}`;
    if (node.self > 0) line += `, itself ${time(node.self)}`;
    if (node.n > 0) line += `, ${count(node.n)} ${node.n === 1 ? "sample" : "samples"}`;
    detail.append(element("span", "soft", line));
  };

  const sumHits = (node) => {
    if (node.parent && wanted(node)) return node.ns;
    let sum = 0;
    for (const child of node.children) sum += sumHits(child);
    return sum;
  };
  const tellFound = () => {
    $("found").textContent = wanted ? `${percent(sumHits(root), root.ns)} matched` : "";
  };

  const show = () => {
    if (isInverted && !inverted[mode]) inverted[mode] = invert(trees[mode]);
    root = isInverted ? inverted[mode] : trees[mode];
    zoom = root;
    hovered = null;
    for (const button of document.querySelectorAll("[data-mode]")) {
      button.setAttribute("aria-pressed", button.dataset.mode === mode);
    }
    $("invert").setAttribute("aria-pressed", isInverted);
    $("nothing").hidden = root.ns > 0;
    canvas.hidden = root.ns === 0;
    describe(null);
    tellFound();
    draw();
  };

  const at = (event) => {
    const where = canvas.getBoundingClientRect();
    const x = event.clientX - where.left, y = event.clientY - where.top;
    return drawn.find((b) => x >= b.x && x < b.x + b.w && y >= b.y && y < b.y + ROW)?.node ?? null;
  };
  canvas.addEventListener("mousemove", (event) => {
    const node = at(event);
    canvas.style.cursor = node ? "pointer" : "default";
    if (node !== hovered) {
      hovered = node;
      describe(node);
      draw();
    }
  });
  canvas.addEventListener("mouseleave", () => { hovered = null; describe(null); draw(); });
  canvas.addEventListener("click", (event) => {
    const node = at(event);
    if (node) { zoom = node; describe(node); draw(); }
  });
  $("reset").addEventListener("click", () => { zoom = root; draw(); });
  $("invert").addEventListener("click", () => { isInverted = !isInverted; show(); });
  if (data.cpu.kind.some((kind) => (kind & 7) === LANE)) {
    $("running").textContent = "CPU and lanes";
    $("lanes-legend").hidden = false;
  }
  for (const button of document.querySelectorAll("[data-mode]")) {
    button.addEventListener("click", () => { mode = button.dataset.mode; show(); });
  }
  addEventListener("resize", () => draw());
  dark.addEventListener("change", () => draw());

  // ---- tables ----

  const nameCell = (cell, name, image, tags) => {
    cell.className = "name";
    cell.append(name);
    if (image) cell.append(element("span", "image", "  " + image));
    for (const tag of tags) cell.append(" ", element("span", "tag", tag));
  };
  const shareCell = (cell, ns, whole) => {
    const share = element("span", "share");
    share.style.width = Math.round(whole > 0 ? 60 * ns / whole : 0) + "px";
    cell.append(share, percent(ns, whole));
  };
  const whole = data.totals.cpu_ns, wholeOff = data.totals.off_cpu_ns;
  const tables = {
    functions: {
      rows: data.functions, sort: "self",
      columns: [
        { key: "self", label: "self", put: (c, r) => c.append(time(r.self)) },
        { key: "self", label: "self %", put: (c, r) => shareCell(c, r.self, whole) },
        { key: "total", label: "total", put: (c, r) => c.append(time(r.total)) },
        { key: "total", label: "total %", put: (c, r) => c.append(percent(r.total, whole)) },
        { key: "n", label: "samples", put: (c, r) => c.append(count(r.n)) },
        { key: "name", label: "function", isName: true,
          put: (c, r) => nameCell(c, r.name, r.image, [r.inlined && "inlined", r.kind > 0 && KINDS[r.kind]].filter(Boolean)) },
      ],
    },
    threads: {
      rows: data.threads, sort: "cpu",
      columns: [
        { key: "cpu", label: "CPU", put: (c, r) => c.append(time(r.cpu)) },
        { key: "cpu", label: "CPU %", put: (c, r) => shareCell(c, r.cpu, whole) },
        { key: "off", label: "off-CPU", put: (c, r) => c.append(time(r.off)) },
        { key: "runq", label: "waiting for a CPU", put: (c, r) => c.append(time(r.runq)) },
        { key: "n", label: "samples", put: (c, r) => c.append(count(r.n)) },
        { key: "tid", label: "tid", put: (c, r) => c.append(String(r.tid)) },
        { key: "name", label: "thread", isName: true,
          put: (c, r) => nameCell(c, r.name, "", r.blocked ? ["mostly " + r.blocked] : []) },
      ],
    },
    waits: {
      rows: data.waits, sort: "ns",
      columns: [
        { key: "ns", label: "time", put: (c, r) => c.append(time(r.ns)) },
        { key: "ns", label: "share", put: (c, r) => shareCell(c, r.ns, wholeOff) },
        { key: "n", label: "waits", put: (c, r) => c.append(count(r.n)) },
        { key: "max", label: "longest", put: (c, r) => c.append(time(r.max)) },
        { key: "reason", label: "reason", put: (c, r) => c.append(element("span", "tag", r.reason)) },
        { key: "site", label: "where", isName: true,
          put: (c, r) => nameCell(c, r.site || "(not known)", r.stack, []) },
      ],
    },
  };

  const fill = (id) => {
    const table = tables[id], place = $(id + "-table"), key = table.sort;
    place.textContent = "";
    const rows = table.rows.filter((row) => !wanted || wanted({ name: row.name ?? row.site, image: row.image ?? row.stack ?? "" }));
    const direction = table.ascending ? -1 : 1;
    rows.sort((a, b) => direction * (typeof a[key] === "string" ? a[key].localeCompare(b[key]) : b[key] - a[key]));
    const made = element("table"), head = element("tr");
    let isMarked = false;
    for (const column of table.columns) {
      const cell = element("th", column.isName ? "name" : "", column.label);
      if (column.key === key && !isMarked) {
        isMarked = true;
        cell.setAttribute("aria-sort", table.ascending ? "ascending" : "descending");
      }
      cell.addEventListener("click", () => {
        table.ascending = table.sort === column.key ? !table.ascending : false;
        table.sort = column.key;
        fill(id);
      });
      head.append(cell);
    }
    made.append(element("thead"), element("tbody"));
    made.tHead.append(head);
    for (const row of rows) {
      const line = element("tr");
      for (const column of table.columns) column.put(line.appendChild(element("td")), row);
      if (id === "functions") {
        line.className = "pick";
        line.title = "show it in the flamegraph";
        line.addEventListener("click", () => { $("search").value = row.name; search(); pick("flame-panel"); });
      }
      made.tBodies[0].append(line);
    }
    place.append(rows.length > 0 ? made : element("p", "empty", wanted ? "nothing matches" : "nothing was recorded"));
  };

  // ---- the page ----

  const search = () => {
    const text = $("search").value.trim();
    wanted = null;
    if (text !== "") {
      let test = null;
      try { test = new RegExp(text, "i"); } catch { test = null; }
      const lower = text.toLowerCase();
      wanted = (node) => node.name.toLowerCase().includes(lower) || node.image.toLowerCase().includes(lower) ||
                         (test !== null && (test.test(node.name) || test.test(node.image)));
    }
    tellFound();
    draw();
    Object.keys(tables).forEach(fill);
  };
  const pick = (panel) => {
    for (const button of document.querySelectorAll("[data-panel]")) {
      button.setAttribute("aria-selected", button.dataset.panel === panel);
      $(button.dataset.panel).classList.toggle("shown", button.dataset.panel === panel);
    }
    if (panel === "flame-panel") draw();
  };
  for (const button of document.querySelectorAll("[data-panel]")) {
    button.addEventListener("click", () => pick(button.dataset.panel));
  }
  $("search").addEventListener("input", search);
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      if ($("search").value !== "") { $("search").value = ""; search(); }
      zoom = root;
      draw();
    } else if (event.key === "/" && document.activeElement !== $("search")) {
      event.preventDefault();
      $("search").focus();
    }
  });
  Object.keys(tables).forEach(fill);
  pick("flame-panel");
  show();
  const asked = new URLSearchParams(location.hash.slice(1));
  if (asked.has("mode") || asked.has("inverted")) {
    mode = asked.get("mode") === "off" ? "off" : "cpu";
    isInverted = asked.has("inverted");
    show();
  }
  if (asked.has("search")) { $("search").value = asked.get("search"); search(); }
  if (asked.has("panel") && $(asked.get("panel") + "-panel")) pick(asked.get("panel") + "-panel");
})();
