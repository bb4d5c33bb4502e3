"""The gateway: an HTTP door to a folder of artifacts. `routes`, `ranges`, `conditions`, `locks` are pure; `app` decides; `run` is the process."""
