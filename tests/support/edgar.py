"""A small log with the columns of EDGAR's: ordinary users, harvesters, and nothing by chance that the seed does not fix."""

import csv
import gzip
import random
from datetime import UTC, datetime, timedelta

COLUMNS = [
    "ip",
    "date",
    "time",
    "zone",
    "cik",
    "accession",
    "extention",
    "code",
    "size",
    "idx",
    "norefer",
    "noagent",
    "find",
    "crawler",
    "browser",
]
MIDNIGHT = datetime(2017, 1, 1, tzinfo=UTC)


def row(ip, second, document, code="200.0"):
    at = MIDNIGHT + timedelta(seconds=second)
    date, time = at.strftime("%Y-%m-%d %H:%M:%S").split()
    rest = ["0.0", "1.0", document, ".txt", code, "1000.0", "0.0", "0.0", "0.0", "10.0", "0.0", ""]
    return dict(zip(COLUMNS, [ip, date, time, *rest], strict=True))


def small_log(users=80, harvesters=6, requests=620, seed=1):
    """Users make 1 to 20 requests; harvesters `requests` distinct documents, one each 20 to 60 s, every third so slowly that 400 take days at 1/3x."""
    draw = random.Random(seed)
    rows = []
    for at in range(users):
        count = draw.randint(1, 20)
        rows += [row(f"user-{at}", draw.randrange(86_400), f"d-{draw.randrange(500)}") for _ in range(count)]
    for at in range(harvesters):
        every = 130 if at % 3 == 2 else draw.randint(20, 60)
        rows += [row(f"harvester-{at}", n * every, f"harvest-{at}-{n}") for n in range(requests)]
    return rows


def write_log(path, rows, columns=COLUMNS):
    with gzip.open(path, "wt", newline="") if path.suffix == ".gz" else path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path
