"""What carries a decision to systems that know nothing of us. `base` is the port, `http` the one way out, and each other module one connector."""
