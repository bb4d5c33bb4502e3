"""Carries locks to the outside, and proves that they hold. `core` and `proofs` are pure; `worker` does the durable steps; `job` is the shell."""
