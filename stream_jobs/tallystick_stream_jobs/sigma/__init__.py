"""User rules: Sigma YAML compiled to rules of the detectors' protocol, and to SQL over the history that finds the same.

`load.load_rules` reads a folder. Only `parse` and what it calls need pySigma, and they are imported when there is a rule to read: it is
7 MiB, as measured, that a deployment without rules need not hold.
"""
