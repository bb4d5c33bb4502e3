"""Enforcement points: who is locked (`table`, pure), how a point hears of it (`feed`) and says that it did (`announce`). Gateway and SDK share it."""
