/* What the server cannot do: draw tail rows quickly, beat the stream, notice that nothing is heard, keys, theme, sign-out.
   Everything from outside is put in with textContent. */
(function () {
  "use strict";

  const KEEP = 400; // rows kept for the Live page
  const KEPT_BEATS = 100; // of them, at most so many heartbeats
  const DRAWN = 200; // rows drawn at once
  const SILENT_MS = 5000; // a push comes each second: silence this long means that the page is stale
  const BEAT_MS = 20000;
  const COLUMNS = ["c-time", "c-who", "c-action", "c-outcome", "c-what", "c-bytes", "c-ip", "c-place"];
  const TONES = { denied: "critical", error: "high" };

  const client = Math.random().toString(36).slice(2) + Date.now().toString(36);
  const state = { boot: null, rows: [], last: 0, paused: false, until: 0, held: 0, missed: 0, filter: "", beats_shown: false, heard: 0, opened: Date.now(), beats: 0, beaten: 0, path: null };
  try { state.beats_shown = localStorage.getItem("tallystick-heartbeats") === "shown"; } catch (error) { /* hidden, then */ }
  const byId = (id) => document.getElementById(id);
  const put = (id, text) => { const node = byId(id); if (node && node.textContent !== text) node.textContent = text; };

  /* ---------- beat ---------- */
  function beat() {
    if (!window.dash_clientside || !window.dash_clientside.set_props || !byId("health")) return;
    state.beats += 1;
    state.beaten = Date.now();
    const tail = location.pathname === "/" && !document.hidden;
    window.dash_clientside.set_props("beat", { data: { client: client, n: state.beats, tail: tail } });
  }

  setInterval(function () {
    const now = Date.now();
    // A page that never hears anything, since its session ended before the first push, must say so as well.
    const quiet = now - (state.heard || state.opened);
    const silent = quiet > SILENT_MS;
    const shown = silent && byId("health") !== null;
    document.body.classList.toggle("stale", shown);
    if (shown) {
      put("health-note", "Nothing heard for " + Math.round(quiet / 1000) + " s. What you see is old.");
    } else {
      put("health-note", "");
    }
    const moved = state.path !== location.pathname;
    state.path = location.pathname;
    markNav(); // each time: on a slow machine the links may come after the first look
    follow();
    named();
    if (moved || now - state.beaten > (silent ? SILENT_MS : BEAT_MS)) beat();
  }, 500);

  document.addEventListener("visibilitychange", beat);

  function markNav() {
    document.querySelectorAll(".nav-link").forEach(function (link) {
      const here = new URL(link.href).pathname === location.pathname;
      link.classList.toggle("here", here);
      if (here) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
    });
  }

  /* ---------- tail ---------- */
  function cell(className, text, title) {
    const td = document.createElement("td");
    td.className = className;
    td.textContent = text;
    if (title) td.title = title;
    return td;
  }

  function span(className, text) {
    const node = document.createElement("span");
    node.className = className;
    node.textContent = text;
    return node;
  }

  function bytes(count) {
    if (count === "" || count === null) return "";
    let size = count;
    for (const unit of ["B", "kB", "MB", "GB"]) {
      if (size < 1000) return unit === "B" ? size + " B" : size.toFixed(1) + " " + unit;
      size /= 1000;
    }
    return size.toFixed(1) + " TB";
  }

  function draw(row) {
    const [, time, who, action, outcome, resource, part, size, ip, place, sort] = row;
    const tr = document.createElement("tr");
    const probe = sort === "probe";
    if (outcome !== "allowed" && !probe) tr.className = "row-" + outcome;
    const texts = [time, who, action, "", resource, bytes(size), ip, place];
    COLUMNS.forEach(function (name, at) { tr.appendChild(cell(name, texts[at], at === 1 ? who : at === 4 ? resource + " " + part : "")); });
    tr.children[3].appendChild(span(outcome === "allowed" && !probe ? "quiet" : probe ? "badge badge-quiet" : "badge tone-" + (TONES[outcome] || "info"), probe ? "probe " + outcome : outcome));
    if (probe) tr.children[3].title = "Tallystick itself asked whether this subject would get in. A refusal means that the lock holds.";
    tr.children[0].title = "Place in the history: " + place;
    if (part) tr.children[4].appendChild(span("part", part));
    return tr;
  }

  const isBeat = (row) => row[10] === "beat";
  const matches = (row) => !state.filter || row.slice(1).join(" ").toLowerCase().includes(state.filter);
  const wanted = (row) => (state.beats_shown || !isBeat(row)) && matches(row);

  // Heartbeats come all day long: they must not push out what people did.
  function bounded(rows) {
    let beats = rows.filter(isBeat).length - KEPT_BEATS;
    return rows.filter((row) => !(isBeat(row) && beats-- > 0)).slice(-KEEP);
  }

  // Dash calls `mounted` before or after the page is drawn anew. A new table is empty, and what filtered the last one must not go on unseen.
  function follow() {
    const body = byId("tail-body"), input = byId("tail-filter");
    if (!body || !input || (state.body === body && state.input === input)) return;
    state.body = body;
    state.input = input;
    state.filter = input.value.trim().toLowerCase();
    redraw();
  }

  function redraw() {
    const body = byId("tail-body");
    if (!body) return;
    // A table that is drawn anew while the tail is paused stands where it was paused.
    const rows = state.rows.filter((row) => wanted(row) && !(state.paused && row[0] > state.until)).slice(-DRAWN).reverse();
    body.replaceChildren(...rows.map(draw));
    figures();
  }

  function figures() {
    put("tail-missed", state.missed.toLocaleString("en"));
    const empty = byId("tail-empty");
    if (empty) empty.hidden = state.rows.length > 0;
    none();
    const beats = byId("tail-beats");
    if (beats) { beats.setAttribute("aria-pressed", String(state.beats_shown)); beats.classList.toggle("on", state.beats_shown); }
    put("tail-pause-text", state.paused ? (state.held ? "Resume (" + state.held.toLocaleString("en") + " new)" : "Resume") : "Pause");
    const button = byId("tail-pause");
    if (button) { button.setAttribute("aria-pressed", String(state.paused)); button.classList.toggle("on", state.paused); }
  }

  // Rows are there and none is shown: say so, and lead out of it.
  function none() {
    const box = byId("tail-none");
    if (!box) return;
    box.hidden = state.rows.length === 0 || byId("tail-body").children.length > 0;
    if (box.hidden) return;
    const beats = state.rows.filter((row) => isBeat(row) && matches(row)).length;
    const hidden = !state.beats_shown && beats > 0;
    const said = beats.toLocaleString("en") + (beats === 1 ? " heartbeat" : " heartbeats") + (state.filter ? " that match" + (beats === 1 ? "es" : "") : "") + (beats === 1 ? " is" : " are") + " hidden.";
    put("tail-none-title", state.filter ? "No row matches \u201c" + state.filter + "\u201d" : "Nothing but heartbeats so far");
    put("tail-none-text", hidden ? said : "The filter looks at the newest " + state.rows.length.toLocaleString("en") + (state.rows.length === 1 ? " row" : " rows") + " of this page. New ones that match appear here.");
    const way = byId("tail-none-way");
    way.dataset.way = hidden ? "beats" : "filter";
    put("tail-none-way", hidden ? "Show heartbeats" : "Clear the filter");
  }

  function beats() {
    state.beats_shown = !state.beats_shown;
    try { localStorage.setItem("tallystick-heartbeats", state.beats_shown ? "shown" : ""); } catch (error) { /* not remembered, but changed */ }
    redraw();
  }

  function arrived(push) {
    if (!push) return;
    const body = byId("tail-body"), anew = state.boot !== push.boot;
    if (anew) { state.boot = push.boot; state.rows = []; state.last = state.until = 0; }
    const fresh = push.rows.filter((row) => row[0] > state.last);
    if (fresh.length) state.last = fresh[fresh.length - 1][0];
    state.missed += push.missed;
    state.rows = state.rows.concat(fresh);
    state.rows = bounded(state.rows);
    if (!body) return;
    if (state.paused) { state.held += fresh.length; figures(); return; }
    if (anew) body.replaceChildren(); // what stood there comes again
    const nodes = fresh.filter(wanted).reverse().map(draw);
    nodes.forEach((node) => node.classList.add("fresh"));
    body.prepend(...nodes);
    while (body.children.length > DRAWN) body.lastElementChild.remove();
    figures();
  }

  function pause() {
    state.paused = !state.paused;
    state.until = state.last;
    state.held = 0;
    if (state.paused) figures(); else redraw();
  }

  /* ---------- health ---------- */
  function health(push) {
    if (!push) return;
    state.heard = Date.now();
    document.body.classList.remove("stale");
    push.items.forEach(function (item) {
      const [key, label, value, level, hint] = item;
      const node = byId("health-" + key);
      if (!node) return;
      node.className = "health-cell level-" + level;
      node.dataset.hint = value + ". " + hint; // the value may be cut short on a narrow screen
      node.setAttribute("aria-label", label + ": " + value + ". " + hint);
      node.querySelector(".health-value").textContent = value;
    });
    put("tail-rate", push.rate === null ? "\u2013" : push.rate.toLocaleString("en"));
  }

  /* ---------- titles: tabs and histories are read by them ---------- */
  function named() {
    const drawer = document.querySelector(".drawer-title > span:last-child");
    const here = document.querySelector(".nav-link.here") || document.querySelector("#page h3");
    const names = [location.search ? drawer && drawer.textContent : "", here && here.textContent, "Tallystick"];
    const title = names.filter(Boolean).join(" \u00b7 ");
    if (document.title !== title) document.title = title;
  }

  /* ---------- people ---------- */
  function theme() {
    const root = document.documentElement;
    const next = root.getAttribute("data-mantine-color-scheme") === "dark" ? "light" : "dark";
    root.setAttribute("data-mantine-color-scheme", next);
    try { localStorage.setItem("mantine-color-scheme-value", next); } catch (error) { /* not remembered, but changed */ }
  }

  function signOut() {
    const name = document.querySelector('meta[name="tallystick-csrf-cookie"]').content + "=";
    const token = (document.cookie.split("; ").find(function (one) { return one.startsWith(name); }) || name).slice(name.length);
    fetch("/sign-out", { method: "POST", headers: { "X-Tallystick-CSRF": token } }).finally(function () { location.assign("/sign-in"); });
  }

  document.addEventListener("click", function (event) {
    const target = event.target instanceof Element ? event.target : null;
    if (!target) return;
    if (target.closest("#tail-pause")) pause();
    else if (target.closest("#tail-beats")) beats();
    else if (target.closest("#tail-none-way")) { if (target.closest("[data-way]").dataset.way === "beats") beats(); else filterBy(""); }
    else if (target.closest("#theme")) theme();
    else if (target.closest("#sign-out")) signOut();
    // Not a callback on n_clicks: what a push draws anew between the click and the callback has no clicks any more.
    else if (target.closest("[data-closes]")) window.dash_clientside.set_props(target.closest("[data-closes]").dataset.closes, { opened: false });
    else if (target.closest("#tail-body td.c-who")) filterBy(target.closest("td").textContent);
    else if (target.closest("table.grid tr") && !target.closest("a, button")) {
      const link = target.closest("tr").querySelector("a.row-link");
      if (link && String(window.getSelection()) === "") link.click();
    }
  });

  function filterBy(text) {
    const input = byId("tail-filter");
    if (!input) return;
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(input, input.value === text ? "" : text);
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }

  document.addEventListener("input", function (event) {
    if (event.target.id === "tail-filter") { state.filter = event.target.value.trim().toLowerCase(); redraw(); }
  });

  let walked = null;

  function walkTo(link) {
    walked = link.getAttribute("href");
    link.focus();
  }

  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, [role=dialog]")) return;
    const links = Array.from(document.querySelectorAll("#page a.row-link"));
    // A list that is drawn anew takes the focus with it: the place is the link's, not the element's.
    const focused = links.indexOf(document.activeElement);
    const at = focused >= 0 ? focused : links.findIndex(function (link) { return link.getAttribute("href") === walked; });
    if (event.key === "j" && links.length) walkTo(links[Math.min(at + 1, links.length - 1)]);
    else if (event.key === "k" && links.length) walkTo(links[Math.max(at - 1, 0)]);
    else if (event.key === "o" && at >= 0) links[at].click();
    else if (event.key === "p" && byId("tail-pause")) pause();
    else if (event.key === "h" && byId("tail-beats")) beats();
    else return;
    event.preventDefault();
  });

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    tallystick: {
      arrived: arrived,
      health: health,
      closed: function (opened) { if (!opened && location.search) window.dash_clientside.set_props("url", { search: "" }); },
      left: function (path, shown) { if (shown && path !== shown) window.dash_clientside.set_props("page-name", { data: null }); },
      mounted: function () { state.path = null; redraw(); },
    },
  });
})();
