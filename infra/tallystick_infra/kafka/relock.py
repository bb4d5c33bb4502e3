"""`python -m tallystick_infra.kafka.relock`: resolve Kafka's jars anew with jgo and print a lock file."""

import hashlib
import sys

import jgo
from jgo.env import Environment

KAFKA = "org.apache.kafka:kafka_2.13:4.3.1"


def lock_lines(environment: Environment) -> list[str]:
    """One line a jar of a resolved environment."""
    files = {path.name: path for path in environment.all_jars}
    lines = []
    assert environment.lockfile is not None
    for one in environment.lockfile.dependencies:
        path = files[f"{one.artifactId}-{one.version}.jar"]
        lines.append(f"{one.groupId}:{one.artifactId}:{one.version} {path.stat().st_size} {hashlib.sha256(path.read_bytes()).hexdigest()}")
    return lines


if __name__ == "__main__":
    header = f"# {KAFKA} and what it needs: group:artifact:version size sha256. Renew with `python -m tallystick_infra.kafka.relock`."
    sys.stdout.write("\n".join([header, *lock_lines(jgo.build(KAFKA, update=True))]) + "\n")
