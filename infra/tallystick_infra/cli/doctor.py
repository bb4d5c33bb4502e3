"""`tallystick doctor`: is everything reachable, configured, in step, and how far behind?"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Final, get_args

import click
import clickhouse_connect
from kafka.errors import AuthorizationError

from tallystick_schemas.errors import SettingsError, TallystickError
from tallystick_schemas.words import counted, noun

from ..deployment import Deployment
from ..errors import NothingAnswers
from ..knocking import Store, knock
from ..terminal import echo, styled
from . import doctor_here as here
from . import doctor_store as in_store
from . import doctor_topics as in_topics
from .common import data_option, emit_json, json_option, open_deployment, out
from .doctor_check import Check
from .tables import Listing

_NEEDS: Final = {
    **dict.fromkeys(("behind", "roles"), ("kafka", "clickhouse")),
    "detection": ("kafka",),
    **dict.fromkeys(("sealed", "shown", "definitions"), ("clickhouse",)),
    **dict.fromkeys(("responder", "points", "outbox"), ("kafka",)),
}
_SHOWN: Final = {"behind": "notary", "detection": "detectors", "sealed": "sealer", "shown": "shown roots", "definitions": "tables"}
"""What a look is called in its lines, where that is not its own name: whoever looks for a line finds it also when nothing could be looked at."""

_RULES: Final = "this user may not do so there: start `tallystick up` again, which gives the embedded Kafka its rules; for another, `tallystick topics acls`"


@click.command()
@data_option
@json_option
def doctor(data: Path, as_json: bool) -> int:
    """Look at every part. Exit code 1 when something is wrong."""
    deployment = open_deployment(data)
    checks, dead = [], _dead(deployment)
    for error in dead.values():
        echo(f"hint: {error}", err=True)  # the other looks take seconds
    for look in (
        here.settings,
        here.processes,
        in_topics.kafka,
        in_store.clickhouse,
        in_store.definitions,
        in_topics.behind,
        in_topics.detection,
        in_store.sealed,
        in_store.refusal,
        in_store.shown,
        in_topics.roles,
        in_topics.responder,
        in_topics.points,
        in_topics.outbox,
        here.spools,
        here.tokens,
        here.repositories,
        here.policy,
        here.rules,
        here.signals,
    ):
        checks += _guarded(look, deployment, dead)
    good = all(check.ok for check in checks)
    if as_json:
        emit_json({"ok": good, "checks": [asdict(check) for check in checks]})
        return 0 if good else 1
    table = Listing("", "part", "seen", "what to do", whole=("part",), below="what to do")
    for check in checks:
        state = styled("ok", "green") if check.ok else styled("!!", "red")
        table.add_row(state, check.name, check.seen, "" if check.ok else check.mend)
    out().print(table)
    wrong = sum(not check.ok for check in checks)
    summary = f"Of {counted(len(checks), 'check')}, {wrong} {noun(wrong, 'wants', 'want')} attention." if wrong else "Everything is well."
    out().print()
    out().print(styled(summary, "bold"))
    return 0 if good else 1


def _dead(deployment: Deployment) -> dict[str, NothingAnswers]:
    """Stores where nothing answers: each look at one would take minutes to find that out by itself."""

    def trouble(store: Store) -> NothingAnswers | None:
        try:
            knock(deployment, store)
        except NothingAnswers as error:
            return error
        except (TallystickError, OSError):
            pass  # settings, or a secret's file: `settings` and the look itself tell
        return None

    stores: tuple[Store, ...] = get_args(Store)
    with ThreadPoolExecutor(len(stores)) as pool:
        found = zip(stores, pool.map(trouble, stores), strict=True)
    return {store.lower(): error for store, error in found if error is not None}


def _guarded(look: Callable[[Deployment], list[Check]], deployment: Deployment, dead: Mapping[str, NothingAnswers]) -> list[Check]:
    """A look that fails is itself what is wrong."""
    needs, name = _NEEDS.get(look.__name__, ()), _SHOWN.get(look.__name__, look.__name__)
    if name in dead:
        return [Check(name, False, str(dead[name]), "start it, or let it go on when it was stopped")]
    if missing := [store for store in needs if store in dead]:
        return [Check(name, False, f"not looked at: no answer from {' and '.join(missing)}", f"see {missing[0]}")]
    try:
        return look(deployment)
    except SettingsError:
        return [Check(name, False, "not looked at: its settings cannot be used", "see settings")]
    except (TallystickError, OSError, RuntimeError, clickhouse_connect.driver.exceptions.Error) as error:
        return [Check(name, False, f"{type(error).__name__}: {str(error)[:200]}", "is `tallystick up` running on this directory?")]
    except AuthorizationError as error:
        return [Check(name, False, f"{type(error).__name__}: {str(error)[:200]}", _RULES)]
    except Exception as error:  # noqa: BLE001 - client libraries raise their own families; each is a finding of the doctor
        return [Check(name, False, f"{type(error).__name__}: {str(error)[:200]}", "is it reachable with these settings?")]
