"""Tells a drill in plain sentences with times while it runs: what the players did, and what the record shows of it."""

from collections.abc import Callable

from .grade import Grades, Mark
from .scenario import Drill

Say = Callable[[str], None]


class Narrator:
    """One drill's. `told` keeps what was said; each sight is told once."""

    def __init__(self, drill: Drill, run: str, say: Say, told: list[str], *, alone: bool) -> None:
        self.drill, self.run, self.told = drill, run, told
        self._say, self._prefix = say, "" if alone else f"{drill.name}: "
        self._seen: set[int] = set()

    def opens(self) -> None:
        """Title and story."""
        scenario = self.drill.scenario
        self._say(f"{self._prefix}{scenario.title} (run {self.run})")
        if not self._prefix:
            self._say(" ".join(scenario.story.split()))

    def tell(self, text: str) -> None:
        """What a player did."""
        self.told.append(text)
        self._say(f"{self._prefix}{text}")

    def sees(self, grades: Grades) -> None:
        """What the record shows that was not told yet, in the order in which it happened."""
        pairs = enumerate(zip(self.drill.scenario.expect, grades.expected, strict=True))
        for number, (sight, mark) in sorted(pairs, key=lambda pair: pair[1][1].at or 0.0):
            if mark.seen and number not in self._seen:
                self._seen.add(number)
                kind = str(type(sight).__struct_config__.tag)
                self._say(f"{self._prefix}  {kind:<9}{_after(mark)} {mark.seen}{_where(mark)}")


def _after(mark: Mark) -> str:
    return f"+{mark.after_s:6.2f} s " if mark.after_s is not None else ""


def _where(mark: Mark) -> str:
    return " [at {}:{}:{}]".format(*mark.places[-1]) if mark.places else ""
