"""Where countries are: the middle to a degree, and the radius in km of a circle of the same area.

Facts, from the fields "Geographic coordinates" and "Area" of The World Factbook (CIA, public domain), rounded to a degree and to 10 km.
"""

from math import asin, cos, radians, sin, sqrt
from typing import Final, NamedTuple

_EARTH_KM: Final = 6371.0


class Spot(NamedTuple):
    """Degrees north and east, and how many kilometres it may be off."""

    north: float
    east: float
    radius_km: float


_TABLE: Final = """
AE 24 54 160|AF 33 65 450|AL 41 20 100|AM 40 45 100|AO -12 18 630|AR -34 -64 950|AT 47 13 170|AU -27 133 1570|AZ 40 47 170|BA 44 18 130
BD 24 90 220|BE 51 4 100|BF 13 -2 300|BG 43 25 190|BH 26 50 20|BI -3 30 100|BJ 9 2 190|BO -17 -65 590|BR -10 -55 1650|BW -22 24 430
BY 53 28 260|CA 60 -95 1780|CD 0 25 860|CF 7 21 450|CG -1 15 330|CH 47 8 120|CI 8 -5 320|CL -30 -71 490|CM 6 12 390|CN 35 105 1750
CO 4 -72 600|CR 10 -84 130|CU 22 -80 190|CY 35 33 60|CZ 50 15 160|DE 51 9 340|DK 56 10 120|DO 19 -70 120|DZ 28 3 870|EC -2 -77 300
EE 59 26 120|EG 27 30 560|ER 15 39 200|ES 40 -4 400|ET 8 38 590|FI 64 26 330|FJ -18 175 80|FR 46 2 420|GA -1 11 290|GB 54 -2 280
GE 42 43 150|GH 8 -2 280|GN 11 -10 280|GR 39 22 210|GT 15 -90 190|HK 22 114 20|HN 15 -86 190|HR 45 15 130|HT 19 -72 90|HU 47 20 170
ID -5 120 780|IE 53 -8 150|IL 31 35 80|IN 20 77 1020|IQ 33 44 370|IR 32 53 720|IS 65 -18 180|IT 42 12 310|JM 18 -77 60|JO 31 36 170
JP 36 138 350|KE 1 38 430|KG 41 75 250|KH 13 105 240|KP 40 127 200|KR 37 127 180|KW 29 46 80|KZ 48 68 930|LA 18 105 270|LB 34 36 60
LK 7 81 140|LR 7 -10 190|LT 56 24 140|LU 50 6 30|LV 57 25 140|LY 25 17 750|MA 32 -5 380|MD 47 29 100|ME 43 19 70|MG -20 47 430
MK 42 22 90|ML 17 -4 630|MM 22 98 460|MN 46 105 710|MR 20 -12 570|MT 36 14 10|MU -20 58 30|MW -14 34 190|MX 23 -102 790|MY 3 113 320
MZ -18 35 500|NA -22 17 510|NE 16 8 640|NG 10 8 540|NI 13 -85 200|NL 53 6 120|NO 62 10 350|NP 28 84 220|NZ -41 174 290|OM 21 57 310
PA 9 -80 150|PE -10 -76 640|PG -6 147 380|PH 13 122 310|PK 30 70 500|PL 52 20 320|PT 40 -8 170|PY -23 -58 360|QA 26 51 60|RO 46 25 280
RS 44 21 160|RU 60 100 2330|RW -2 30 90|SA 25 45 830|SD 15 30 770|SE 62 15 380|SG 1 104 20|SI 46 15 80|SK 49 20 130|SL 9 -12 150
SN 14 -14 250|SO 10 49 450|SS 8 30 450|SV 14 -89 80|SY 35 38 240|TD 15 19 640|TG 8 1 130|TH 15 100 400|TJ 39 71 210|TM 40 60 390
TN 34 9 230|TR 39 35 500|TT 11 -61 40|TW 24 121 110|TZ -6 35 550|UA 49 32 440|UG 1 32 280|US 38 -97 1770|UY -33 -56 240|UZ 41 64 380
VE 8 -66 540|VN 16 106 330|YE 15 48 410|ZA -29 24 620|ZM -15 30 490|ZW -20 30 350
"""
COUNTRIES: Final[dict[str, Spot]] = {
    code: Spot(float(north), float(east), float(radius))
    for code, north, east, radius in (row.split() for line in _TABLE.split("\n") if line for row in line.split("|"))
}
"""ISO 3166-1 alpha-2 code -> where."""


def distance_km(one: Spot, other: Spot) -> float:
    """At least so far apart: along the great circle (haversine, Sinnott 1984), less what either may be off."""
    north, east = radians(other.north - one.north) / 2, radians(other.east - one.east) / 2
    chord = sin(north) ** 2 + cos(radians(one.north)) * cos(radians(other.north)) * sin(east) ** 2
    return max(0.0, 2 * _EARTH_KM * asin(min(1.0, sqrt(chord))) - one.radius_km - other.radius_km)
