"""Drills: attacks on a running deployment by synthetic principals, graded against the signed record. `run` plays them, `grade` judges, `page` reports."""
