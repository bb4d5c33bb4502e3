"""Benchmarks: each starts what it needs on a scratch directory and drives it through the public SDK and HTTP. They measure; nothing is asserted."""
