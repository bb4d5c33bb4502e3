"""Settings of the whole suite: hypothesis without deadlines, since tests never judge time."""

from hypothesis import settings

settings.register_profile("tallystick", deadline=None, print_blob=True, derandomize=True)
settings.load_profile("tallystick")
