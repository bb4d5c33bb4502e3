"""A part whose key or password cannot be read stays and looks again by itself: whoever puts the file back starts nothing."""

import logging
import time
from collections.abc import Callable
from typing import Final, TypeVar

from tallystick_producers.errors import KeyFileError

from ..errors import UnsafeKeyFile

log = logging.getLogger(__name__)
_AGAIN_S: Final = 1.0
T = TypeVar("T")


def once_readable(make: Callable[[], T], say: Callable[[str], object] = log.error, wait: Callable[[float], object] = time.sleep) -> T:
    """What `make` gives, once each secret that it reads can be used. Until then what is wrong is said, once as long as it stays the same."""
    said = ""
    while True:
        try:
            return make()
        except (UnsafeKeyFile, KeyFileError) as error:
            if str(error) != said:
                said = str(error)
                say(said)
            wait(_AGAIN_S)
