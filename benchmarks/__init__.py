"""Benchmarks: each prints what it measured beside a peer or a bare run of the same minute; see README.md."""
