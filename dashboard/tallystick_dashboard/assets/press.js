/* What was pressed is what is clicked, and what had the focus keeps it, though the rows were drawn anew meanwhile.

   A browser sends no click when the pressed button left the page before the finger left the mouse, or when a new row pushed it away:
   somebody clicks and sees nothing happen. Here a press that ends where it began is a click on that button, or on the one that took
   its place: the one with the same act, address, id or words. Touch needs none of it: a browser places a tap when it ends. */
(function () {
  "use strict";
  const CONTROL = "button, a, #tail-body td.c-who, table.grid tr";
  const STILL_PX = 8;
  let pressed = null;
  let focused = null;

  const control = (target) => (target instanceof Element ? target.closest(CONTROL) : null);

  function name(node) {
    if (node.tagName === "TR") { const link = node.querySelector("a.row-link"); return link ? "TR " + name(link) : null; }
    return node.tagName + " " + (node.dataset.act || node.getAttribute("href") || node.id || node.textContent);
  }

  const known = (node) => node && { node: node, name: name(node), words: node.tagName === "BUTTON" && !node.dataset.act && !node.id };

  function today(was) {
    if (was.node.isConnected) return was.node;
    if (was.name === null) return null;
    const same = Array.from(document.querySelectorAll(CONTROL)).filter((node) => name(node) === was.name);
    // Words alone do not tell two buttons apart; acts, addresses and people do.
    return same.length === 1 || (same.length && !was.words) ? same[0] : null;
  }

  document.addEventListener("pointerdown", function (event) {
    const own = event.pointerType !== "touch" && event.isPrimary && event.button === 0;
    pressed = own ? known(control(event.target)) : null;
    if (pressed) Object.assign(pressed, { x: event.clientX, y: event.clientY });
  }, true);

  document.addEventListener("pointerup", function (event) {
    const was = pressed;
    pressed = null;
    if (!was || event.button !== 0 || was.node.contains(event.target)) return; // the browser sends this click itself
    const under = control(event.target);
    const still = Math.hypot(event.clientX - was.x, event.clientY - was.y) <= STILL_PX;
    if (!still && !(under && name(under) === was.name)) return; // dragged away, as people do who think better of it
    const node = today(was);
    const keys = { ctrlKey: event.ctrlKey, metaKey: event.metaKey, shiftKey: event.shiftKey, altKey: event.altKey };
    if (node) node.dispatchEvent(new MouseEvent("click", Object.assign({ bubbles: true, cancelable: true, view: window, detail: 1 }, keys)));
  }, true);

  document.addEventListener("pointercancel", function () { pressed = null; }, true);

  document.addEventListener("focusin", function (event) { focused = known(control(event.target)); }, true);
  // A browser says focusout before it takes an element away, too: only afterwards is it told from somebody who looks elsewhere.
  document.addEventListener("focusout", function () {
    const was = focused;
    queueMicrotask(function () { if (was && was === focused && was.node.isConnected) focused = null; });
  }, true);

  // After grid.js, which draws in an observer that was there first.
  new MutationObserver(function () {
    if (!focused || focused.node.isConnected || document.activeElement !== document.body) return;
    const node = today(focused);
    if (node) node.focus({ preventScroll: true });
  }).observe(document.documentElement, { subtree: true, childList: true });
})();
