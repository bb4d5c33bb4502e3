"""How often the detectors are right and wrong on real logs: hijacked accounts are made by splicing, thresholds are frozen on other people.

Log -> people (`log`), hijacks (`splice`), a score per event (`measures`), thresholds and recall (`figures`), the whole run (`run`).
"""
