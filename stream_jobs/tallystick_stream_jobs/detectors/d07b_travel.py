"""D07b: one credential in two places, faster than anybody travels, or in many countries at once: it is shared or stolen."""

from collections.abc import Mapping
from math import isfinite
from typing import Any, Final

from tallystick_schemas.messages import Finding

from .base import Meta, Parameter, State, in_force, make_finding
from .facts import Fact
from .places import COUNTRIES, Spot, distance_km

_MOST: Final = 8
_COUNTRY: Final = 2
"""Letters of a country's code; the name of a spot has more."""
_HOUR_S: Final = 3600.0
_DAY_S: Final = 86_400.0
_AGAIN_S: Final = 3600
META: Final = Meta(
    id="D07b",
    title="Impossible travel of a credential",
    techniques=("T1078.004",),
    severity="high",
    most="step-up",
    blind_spots="Where the door gives no `lat` and `lon` in attrs, a place is a country, less its radius: travel within a country and between "
    "neighbours is not seen. Proxies and VPNs make travel that is none, and hide what is. A credential that several principals use is looked at "
    "for each alone.",
    parameters={
        "distance": Parameter(500, "km at the least", "default"),
        "speed": Parameter(900, "km/h, from which nobody travels so", "default: an airliner's"),
        "countries": Parameter(3, "countries of one credential in 60 min", "default: more than 2", least=2, most=8),
    },
)


class Travel:
    """Per credential, the eight places that it spoke from last, each with the time of the last event there."""

    alone: Final = True

    def __init__(self, parameters: Mapping[str, float] | None = None) -> None:
        self.meta = in_force(META, parameters)
        values = {name: one.value for name, one in self.meta.parameters.items()}
        self._distance, self._speed, self._countries = values["distance"], values["speed"], values["countries"]

    def observe(self, state: State, fact: Fact) -> Finding | None:
        source, spoke = fact.event.source, fact.credential
        if source is None or not spoke:
            return None
        credentials: dict[str, dict[str, list[Any]]] | None = state.get("c")
        places = None if credentials is None else credentials.get(spoke)
        if places is not None and _stays(places, fact, source.country):
            return None
        where = _where(fact.attrs, source.country)
        if where is None:
            return None
        if credentials is None:
            credentials = state["c"] = {}
        if places is None:
            places = _begin(credentials, spoke)
        name, spot = where
        known = places.get(name)
        if known is not None:
            known[0] = max(known[0], fact.time)
            if len(places) == 1:
                return None
        else:
            _put(places, name, [fact.time, *spot, source.country or "", *fact.place])
        return self._judge(state, fact, name, spot, places)

    def _judge(self, state: State, fact: Fact, name: str, spot: Spot, places: dict[str, Any]) -> Finding | None:
        told: dict[str, float] = state.setdefault("t", {})
        credential = fact.event.actor.credential or ""
        if fact.time - told.get(credential, -_AGAIN_S) < _AGAIN_S:
            return None
        near = {one[4]: one for one in places.values() if abs(one[0] - fact.time) < _HOUR_S and one[4]}
        for other, one in places.items():
            if other == name or abs(one[0] - fact.time) > _DAY_S:
                continue
            distance = distance_km(spot, Spot(*one[1:4]))
            hours = max(abs(fact.time - one[0]), 1.0) / 3600
            if distance >= self._distance and distance / hours > self._speed:
                text = f"went {distance:.0f} km in {hours * 60:.0f} min, which is faster than {self._speed:.0f} km/h"
                return self._tell(told, fact, distance / hours, self._speed, [one], text, {"km": distance, "hours": hours})
        if len(near) >= self._countries:
            text = f"was used from {len(near)} countries within an hour"
            return self._tell(told, fact, len(near), self._countries, list(near.values()), text, {"countries": len(near)})
        return None

    def _tell(
        self, told: dict[str, float], fact: Fact, value: float, threshold: float, held: list[Any], text: str, features: dict[str, float]
    ) -> Finding:
        credential = fact.event.actor.credential or ""
        told.pop(credential, None)
        told[credential] = fact.time
        while len(told) > _MOST:
            del told[next(iter(told))]
        places = [(one[5], one[6], one[7]) for one in held]
        return make_finding(
            self.meta,
            fact,
            value=round(value, 1),
            threshold=threshold,
            window_s=int(_HOUR_S),
            evidence=[*(one for one in places if one != fact.place), fact.place],
            act="step-up",
            text=f"Credential {credential} of {fact.event.actor.principal} {text}.",
            credential=credential,
            features=features,
        )


def _stays(places: dict[str, list[Any]], fact: Fact, country: str | None) -> bool:
    """Whether it speaks from the one country that it always spoke from: most do, and there is nothing to reckon."""
    attrs = fact.attrs
    if len(places) != 1 or country is None or len(country) != _COUNTRY or (attrs and "lat" in attrs):
        return False
    known = places.get(country)
    if known is None:
        return False
    last: float = known[0]
    if fact.time > last:
        known[0] = fact.time
    return True


def _begin(credentials: dict[str, dict[str, list[Any]]], spoke: str) -> dict[str, list[Any]]:
    if len(credentials) >= _MOST:
        del credentials[min(credentials, key=lambda one: (max(place[0] for place in credentials[one].values()), one))]
    places = credentials[spoke] = {}
    return places


def _put(places: dict[str, list[Any]], name: str, place: list[Any]) -> None:
    places[name] = place
    while len(places) > _MOST:
        del places[min(places, key=lambda one: (places[one][0], one))]


def _where(attrs: Mapping[str, str] | None, country: str | None) -> tuple[str, Spot] | None:
    if attrs and "lat" in attrs and "lon" in attrs:
        try:
            north, east = float(attrs["lat"]), float(attrs["lon"])
        except ValueError:
            north = east = float("nan")
        if isfinite(north) and isfinite(east) and abs(north) <= 90 and abs(east) <= 180:
            return f"{north:.1f},{east:.1f}", Spot(round(north, 1), round(east, 1), 10.0)
    if not country:
        return None
    spot = COUNTRIES.get(country) or COUNTRIES.get(country.upper())
    return (country, spot) if spot else None
