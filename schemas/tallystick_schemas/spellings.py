"""A principal in SQL: the rows of all its spellings. The store keeps names as agents wrote them, and not all write the canonical form."""

from .names import canonical, parts


def spelled(name: str) -> tuple[str, dict[str, str]]:
    """A condition on column `principal` for every spelling of a name, and its parameters (`name`, `kept`). The rules are those of `names.canonical`.

    ClickHouse's functions stand for ours: a newer Unicode may tell apart, or not, what holds code points that 14.0 does not assign.
    """
    form = canonical(name)
    kept, folded = parts(form)
    plain = form.isascii()
    column = "principal" if plain else "normalizeUTF8NFC(principal)"
    lower = "lower" if plain else "lowerUTF8"
    if not folded:
        return f"{column} = {{name:String}}", {"name": form}
    if not kept:
        return f"{lower}({column}) = {{name:String}}", {"name": form}
    return f"({lower}({column}) = {lower}({{name:String}}) AND startsWith({column}, {{kept:String}}))", {"name": form, "kept": kept}
