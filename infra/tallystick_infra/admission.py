"""Agents' users at the embedded broker: made with their enrolment, taken away with their last key. A Kafka of somebody else's has its own."""

from collections.abc import Collection

from tallystick_schemas.access import access_of

from .built_in import BUILT_IN_AGENTS
from .deployment import Deployment
from .kafka.users import User, Users


def admit(deployment: Deployment, agents: Collection[str], *, point: bool = False, new_password: bool = False) -> None:
    """Users for agents, in force when this returns; those who are enforcement points too with `point`. The broker must run."""
    names = [name for name in agents if name not in BUILT_IN_AGENTS]
    if not deployment.embedded().kafka or not names:
        return
    files = deployment.broker_users
    for name in names:
        # If we crash after this, the next start of the broker makes the user.
        files.admit(name, point=point, new_password=new_password)
    with Users(deployment.kafka_admin()) as users:
        users.add({user: User(password, access_of(role).rules()) for user, password, role in map(files.one, names)})


def dismiss(deployment: Deployment, agents: Collection[str]) -> None:
    """Their users no longer."""
    names = [name for name in agents if name not in BUILT_IN_AGENTS]
    if not deployment.embedded().kafka or not names:
        return
    files = deployment.broker_users
    gone = {files.agent(name)[0] for name in names}
    for name in names:
        files.forget(name)
    # If we crash before this, the next start of the broker does it.
    with Users(deployment.kafka_admin()) as users:
        users.remove(gone)


def reconcile(deployment: Deployment) -> None:
    """The embedded broker's users and rules as files and table say."""
    if deployment.embedded().kafka:
        with Users(deployment.kafka_admin()) as users:
            every = deployment.broker_users.every()
            users.reconcile({user: User(password, access_of(role).rules()) for user, password, role in every})
