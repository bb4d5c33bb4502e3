/* Draws every element with a data-grid attribute (grid.py), and again when the attribute changes. Text goes in as text. */
(function () {
  "use strict";
  const TAGS = ["span", "b", "a", "button"];

  function node(plain) {
    if (typeof plain === "string") return document.createTextNode(plain);
    if (Array.isArray(plain)) { const part = document.createDocumentFragment(); plain.forEach((p) => part.appendChild(node(p))); return part; }
    const [tag, className, title, href, act] = plain.n;
    const made = document.createElement(TAGS.includes(tag) ? tag : "span");
    if (className) made.className = className;
    if (title) made.title = title;
    // Addresses inside the console alone: nothing that a name in an event says can become a script or lead away.
    if (tag === "a" && /^\/(?!\/)/.test(href)) { made.href = href; made.dataset.inside = ""; }
    if (tag === "button") { made.type = "button"; if (act) made.dataset.act = act; }
    plain.k.forEach((child) => made.appendChild(node(child)));
    return made;
  }

  function row(cells, tag) {
    const tr = document.createElement("tr");
    cells.forEach(function (cell) {
      const made = document.createElement(tag);
      if (tag === "th") made.scope = "col";
      made.appendChild(node(cell));
      tr.appendChild(made);
    });
    return tr;
  }

  function draw(host) {
    const data = JSON.parse(host.dataset.grid);
    const table = document.createElement("table");
    table.className = "grid";
    table.setAttribute("aria-label", data.name);
    if (data.widths.length) {
      const group = table.appendChild(document.createElement("colgroup"));
      data.widths.forEach((width) => { group.appendChild(document.createElement("col")).style.width = width; });
    }
    table.appendChild(document.createElement("thead")).appendChild(row(data.heads, "th"));
    const body = table.appendChild(document.createElement("tbody"));
    data.rows.forEach((cells) => body.appendChild(row(cells, "td")));
    const focused = host.contains(document.activeElement) ? document.activeElement.getAttribute("href") || document.activeElement.dataset.act : null;
    host.replaceChildren(table);
    if (focused) {
      const again = Array.from(host.querySelectorAll("a, button")).find((n) => n.getAttribute("href") === focused || n.dataset.act === focused);
      if (again) again.focus();
    }
  }

  new MutationObserver(function (changes) {
    const hosts = new Set();
    changes.forEach(function (change) {
      if (change.type === "attributes") hosts.add(change.target);
      change.addedNodes.forEach(function (added) {
        if (!(added instanceof Element) || added.tagName === "TR") return;
        if (added.matches("[data-grid]")) hosts.add(added);
        added.querySelectorAll("[data-grid]").forEach((host) => hosts.add(host));
      });
    });
    hosts.forEach(draw);
  }).observe(document.documentElement, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-grid"] });

  document.addEventListener("click", function (event) {
    const link = event.target instanceof Element ? event.target.closest("a[data-inside]") : null;
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    history.pushState({}, "", link.getAttribute("href"));
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate")); // what dcc.Link does: dcc.Location listens for it
  });

  document.addEventListener("click", function (event) {
    const button = event.target instanceof Element ? event.target.closest("[data-act]") : null;
    if (!button) return;
    const act = Object.assign(JSON.parse(button.dataset.act), { at: Date.now() });
    window.dash_clientside.set_props("act-click", { data: act });
  });
})();
