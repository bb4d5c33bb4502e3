"""Detectors: one file a rule (`d01_…`), the engine they all run on (`engine`), and its shell on Faust (`job`)."""
