"""The sealer: a process of its own, with its own key, that signs what the store holds and refuses what does not extend what it signed.

`core` and `ticks` are pure; `state` is its small compare-and-swap file; `store` reads and writes ClickHouse; `job` is the loop.
"""
