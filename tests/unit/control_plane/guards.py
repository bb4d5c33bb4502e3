"""What a guard is: one check of the real code, and how to take it out, so that the cells which it holds can be seen to fail without it."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch


@dataclass(frozen=True)
class Guard:
    """`name` in plain words. `out`: the check is gone as long as the context lasts; nothing else of the code changes."""

    name: str
    out: Callable[[], AbstractContextManager[object]]


Way = tuple[Guard, ...]
"""Guards that stand behind each other: with all of them out a cell fails, and each alone still keeps it."""


@contextlib.contextmanager
def without(way: Way) -> Iterator[None]:
    """These guards are out."""
    with contextlib.ExitStack() as stack:
        for guard in way:
            stack.enter_context(guard.out())
        yield


def wrapped(owner: Any, name: str, change: Callable[[Any], Any]) -> Callable[[], AbstractContextManager[object]]:
    """A way to take a check out: `change` is given the function as it is then, and gives the one without the check."""

    def out() -> AbstractContextManager[object]:
        return patch.object(owner, name, change(getattr(owner, name)))

    return out


def instead(owner: Any, name: str, value: Any, *, new: bool = False) -> Callable[[], AbstractContextManager[object]]:
    """A way to take a check out: `value` stands in its place. `new`: the module has no such name of its own, and used the builtin."""
    return lambda: patch.object(owner, name, value, create=new)


def together(*outs: Callable[[], AbstractContextManager[object]]) -> Callable[[], AbstractContextManager[object]]:
    """Several places of one and the same check."""

    @contextlib.contextmanager
    def out() -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for one in outs:
                stack.enter_context(one())
            yield

    return out
