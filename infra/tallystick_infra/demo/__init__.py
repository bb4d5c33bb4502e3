"""The demonstration: a theft over real HTTP, detected, stopped and proven. `story` tells it, `actors` play it, `artifacts` are stolen."""
