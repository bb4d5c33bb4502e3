"""Every colour, size and typeface of the console. The style sheet, Mantine and (later) charts and grids take them from here.

Greys carry the layout; colour only means something: severity, verdicts, state, and one accent for what can be pressed.
"""

from typing import Any, Final

SANS: Final = '"Inter Variable", Inter, ui-sans-serif, system-ui, "Segoe UI", Roboto, "Liberation Sans", sans-serif'
MONO: Final = '"JetBrains Mono Variable", ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", monospace'

_SHARED: Final = {
    "u": "8px",
    "row": "30px",
    "radius": "6px",
    "sans": SANS,
    "mono": MONO,
    "text": "13px",
    "small": "12px",
}

LIGHT: Final = {
    "ground": "#f6f7f9",
    "surface": "#ffffff",
    "sunken": "#f0f2f5",
    "hover": "#f3f5f8",
    "line": "#e1e5eb",
    "line-2": "#cbd2dc",
    "ink": "#141a23",
    "ink-2": "#4b5666",
    "ink-3": "#657082",
    "accent": "#0f6e6e",
    "accent-soft": "#e0f0ef",
    "on-accent": "#ffffff",
    "critical": "#b3132b",
    "critical-soft": "#fde8ea",
    "high": "#b14a06",
    "high-soft": "#fdeee0",
    "medium": "#8a6100",
    "medium-soft": "#fbf3d9",
    "low": "#2459a9",
    "low-soft": "#e6effb",
    "info": "#4b5666",
    "info-soft": "#eef0f4",
    "good": "#1c7440",
    "good-soft": "#e3f4e9",
    "shadow": "0 1px 2px rgb(20 26 35 / 6%)",
}

DARK: Final = {
    "ground": "#0d1117",
    "surface": "#141a22",
    "sunken": "#0f141b",
    "hover": "#1b222c",
    "line": "#242d39",
    "line-2": "#364252",
    "ink": "#e4e9f0",
    "ink-2": "#a3afbf",
    "ink-3": "#8391a3",
    "accent": "#4fb8b2",
    "accent-soft": "#13302f",
    "on-accent": "#06201f",
    "critical": "#ff7b87",
    "critical-soft": "#3a161c",
    "high": "#f79a55",
    "high-soft": "#38210f",
    "medium": "#e2be57",
    "medium-soft": "#33290e",
    "low": "#7fb0f5",
    "low-soft": "#16263f",
    "info": "#a3afbf",
    "info-soft": "#1e2631",
    "good": "#5fcb8a",
    "good-soft": "#11301e",
    "shadow": "none",
}

_ACCENT: Final = ["#e5f5f4", "#cde9e7", "#9dd3d0", "#6abcb8", "#42a8a3", "#2a9b96", "#178782", "#0f6e6e", "#0a5a5a", "#044747"]
_DARK_GREYS: Final = ["#e4e9f0", "#a3afbf", "#8391a3", "#55637a", "#364252", "#242d39", "#1b222c", "#141a22", "#0f141b", "#0d1117"]

MANTINE: Final[dict[str, Any]] = {
    "fontFamily": SANS,
    "fontFamilyMonospace": MONO,
    "primaryColor": "accent",
    "primaryShade": {"light": 7, "dark": 4},
    "colors": {"accent": _ACCENT, "dark": _DARK_GREYS},
    "defaultRadius": 6,
    "cursorType": "pointer",
    "focusRing": "auto",
    "respectReducedMotion": True,
    "black": LIGHT["ink"],
    "autoContrast": True,
    "headings": {"fontFamily": SANS, "fontWeight": "600"},
}


def css_variables() -> str:
    """The tokens as custom properties: shared, light, dark by choice, and dark by the system before a choice is known."""
    dark = _properties(DARK)
    return (
        f":root{{{_properties(_SHARED)}{_properties(LIGHT)}color-scheme:light}}"
        f"[data-mantine-color-scheme=dark]{{{dark}color-scheme:dark}}"
        f"@media (prefers-color-scheme:dark){{:root:not([data-mantine-color-scheme]){{{dark}color-scheme:dark}}}}"
    )


def _properties(tokens: dict[str, str]) -> str:
    return "".join(f"--ts-{name}:{value};" for name, value in tokens.items())
