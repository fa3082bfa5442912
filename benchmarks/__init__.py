"""Benchmarks: each prints its figures next to those of a peer or a bare run at the same time; see README.md."""
