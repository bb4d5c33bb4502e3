"""Words that were refused because nobody knew a role for who signed them. Pure; kept until a role comes that may make them somebody's."""

from kafka import TopicPartition

from tallystick_schemas.topics import VERIFIED


class Unheard:
    """Per partition the place of the first such word, and how many there are from it on: no more, whoever writes how many."""

    def __init__(self) -> None:
        self._parts: dict[TopicPartition, tuple[int, int]] = {}

    def note(self, part: TopicPartition, offset: int) -> None:
        """One more, at this place."""
        first, count = self._parts.get(part, (offset, 0))
        self._parts[part] = min(first, offset), count + 1

    def forget_tail(self) -> None:
        """Nothing of `verified` any more: what was refused there is not read again, and whoever looks anew sees what came since."""
        self._parts = {part: kept for part, kept in self._parts.items() if part.topic != VERIFIED}

    @property
    def count(self) -> int:
        """All of them."""
        return sum(count for _, count in self._parts.values())

    def again(self) -> dict[TopicPartition, int]:
        """Where to read on to hear them again; they count from there anew. The tail shows what comes, not what was: it is not read again."""
        self.forget_tail()
        places = {part: first for part, (first, _) in self._parts.items()}
        self._parts = {}
        return places
