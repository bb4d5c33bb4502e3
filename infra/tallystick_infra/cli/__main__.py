"""`python -m tallystick_infra.cli`: how the supervisor starts its parts, whatever is on PATH."""

from . import main

main()
