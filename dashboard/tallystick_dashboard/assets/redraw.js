/* What a callback brought is drawn, however late the browser is.

   Dash 4.4 forgets, once a component stands on the page, which changes of it were drawn (RESET_COMPONENT_STATE, in an effect that runs
   when the browser finds time, or when a drawer has slid in). An answer that came before that moment is in Dash's store and was not
   drawn; forgetting it makes the component look up to date, and its place stays empty until the next answer. On a busy machine that was
   the evidence of a finding opened by its address. Here a component that was changed before then is drawn again instead.
   Dash's own list of stores is the only way in: it puts each store there when it makes it. */
(function () {
  "use strict";
  const stores = (window.dash_stores = window.dash_stores || []);

  function mended(store) {
    const dispatch = store.dispatch;
    store.dispatch = function (action) {
      const path = action && action.type === "RESET_COMPONENT_STATE" ? action.payload.itempath : null;
      if (!path) return dispatch(action);
      const state = store.getState();
      const component = path.reduce((node, step) => node && node[step], state.layout);
      if (!component || !state.layoutHashes[path.join(",")]) return action;
      // All its properties, as they are: what stands in them is drawn anew as well. "response": nothing that a person could undo.
      const props = Object.assign({}, component.props);
      return dispatch({ type: "ON_PROP_CHANGE", payload: { itempath: path, props: props, renderType: "internal", source: "response" } });
    };
    return store;
  }

  stores.push = function (store) { return Array.prototype.push.call(stores, mended(store)); };
})();
