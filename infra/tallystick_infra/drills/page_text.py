"""Text of a report as HTML: markup stands there as text, and what a browser would obey or hide stands there as an escape. Pure."""

from html import escape as escape_markup

from tallystick_schemas.shown import shown


def escape(text: str) -> str:
    """For an element's text, and for an attribute in quotes."""
    return escape_markup(shown(text))
