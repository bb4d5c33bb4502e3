"""Shared signals: what was decided here told to others as security event tokens, and what others decided heard.

Pure: `vocabulary`, `subjects`, `events`, `sets`, `keyring`, `streams`, `verify`. Shells: `keyfile`,
`store`, `feed`, `push`, `jwks`, `inbox`, `poll_client`, `api`, `run`.
"""
