"""The frame around every page: navigation, health strip, theme and sign-out, the act dialog, and the stores that pushes arrive in."""

from typing import Any, Final

from .theme import MANTINE, css_variables
from .ui import Component, dcc, dmc, html

NAV: Final = (
    ("Live", "/", "live"),
    ("Findings", "/findings", "findings"),
    ("Locks", "/locks", "locks"),
    ("History", "/history", "history"),
)
"""What is shown today. Entities, cases and reports get their place here when they exist."""

_HEALTH: Final = (
    ("ingest", "Ingest"),
    ("sealed", "Sealed"),
    ("detection", "Detection"),
    ("jobs", "Jobs"),
    ("locks", "Locks"),
    ("points", "Points"),
    ("unheard", "Refused"),
)
_DURATIONS: Final = (("3600", "1 hour"), ("28800", "8 hours"), ("86400", "24 hours"), ("0", "Until lifted"))

CLOSES: Final = {"data-closes": "act-dialog"}
"""Properties of a button that closes the act dialog (`assets/console.js`)."""


def index_page(csrf_cookie: str) -> str:
    """Dash's index page with the tokens in place, so that the first paint has the right colours; our own script reads there where its token is."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta name="tallystick-csrf-cookie" content="{csrf_cookie}">'
        "<title>{%title%}</title>{%metas%}{%favicon%}"
        f"<style>{css_variables()}</style>{{%css%}}</head>"
        '<body>{%app_entry%}<footer>{%config%}<script src="/assets/theme.js"></script>{%scripts%}{%renderer%}</footer></body></html>'
    )


def frame(who: str) -> Component:
    """The whole layout for one signed-in person."""
    stores = [
        dcc.Location(id="url", refresh="callback-nav"),
        *[dcc.Store(id=name) for name in ("beat", "tail-push", "health-push", "findings-news", "locks-news", "history-news")],
        *[dcc.Store(id=name) for name in ("page-name", "act-click", "act-draft", "act-order")],
    ]
    app = html.Div(
        [_header(who), html.Div(id="health-note", role="alert"), _nav(), html.Main(id="page", tabIndex="-1"), _drawer(), _dialog()],
        className="app",
    )
    return dmc.MantineProvider([*stores, app], theme=MANTINE, defaultColorScheme="auto")


def _header(who: str) -> Component:
    cells = [_cell(key, label) for key, label in _HEALTH]
    strip = html.Div(cells, id="health", className="health", role="status", **{"aria-live": "off"})
    return html.Header(
        [
            dcc.Link([html.Span(className="mark"), html.Span("Tallystick", className="brand-name")], href="/", className="brand"),
            strip,
            html.Div(
                [
                    html.Span(who, className="who", title="Signed in as"),
                    html.Button(html.Span(className="icon icon-theme"), id="theme", className="icon-button", **_named("Light or dark")),
                    html.Button(html.Span(className="icon icon-out"), id="sign-out", className="icon-button", **_named("Sign out")),
                ],
                className="header-tools",
            ),
        ],
        className="header",
    )


def _named(name: str) -> dict[str, str]:
    return {"aria-label": name, "title": name, "type": "button"}


def _cell(key: str, label: str) -> Component:
    return html.Div(
        [html.Span(className="dot"), html.Span(label, className="health-label"), html.Span("waiting", className="health-value")],
        id=f"health-{key}",
        className="health-cell level-unknown",
        tabIndex="0",
    )


def _nav() -> Component:
    links = [
        dcc.Link([html.Span(className=f"icon icon-{icon}"), html.Span(name)], href=href, className="nav-link", id=f"nav-{icon}")
        for name, href, icon in NAV
    ]
    return html.Nav(links, className="nav", **{"aria-label": "Pages"})


def _drawer() -> Component:
    return dmc.Drawer(
        id="drawer",
        opened=False,
        position="right",
        size=944,
        padding=0,
        overlayProps={"backgroundOpacity": 0.25},
        transitionProps={"duration": 120},
        closeButtonProps={"aria-label": "Close"},
        classNames={
            "header": "drawer-head",
            "body": "drawer-body",
            "content": "drawer-content",
            "inner": "drawer-inner",
            "overlay": "drawer-overlay",
        },
    )


def _dialog() -> Component:
    form: list[Any] = [
        dmc.RadioGroup(id="act-subject", label="Whom", children=[], size="sm"),
        dmc.Select(
            id="act-until", label="For how long", data=[{"value": v, "label": t} for v, t in _DURATIONS], value="3600", allowDeselect=False
        ),
        dmc.Textarea(
            id="act-reason",
            label="Reason",
            description="Signed, and kept in the record. Whoever is locked reads it with each refusal.",
            placeholder="What you know, and what you checked",
            minRows=3,
            autosize=True,
            required=True,
        ),
        html.Div(id="act-plan", className="plan", role="status"),
        html.Div(id="act-error", className="problem", role="alert"),
        html.Div(
            [dmc.Button("Cancel", id="act-cancel", variant="default", **CLOSES), dmc.Button("Confirm", id="act-confirm")],
            className="dialog-buttons",
        ),
    ]
    return dmc.Modal(
        [html.Div(form, id="act-form", className="dialog"), html.Div(id="act-progress", className="dialog", role="status")],
        id="act-dialog",
        opened=False,
        title="Lock",
        size=480,
        centered=True,
        closeButtonProps={"aria-label": "Close"},
        transitionProps={"duration": 120},
    )
