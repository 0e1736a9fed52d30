"""Benches: each prints ratios against a peer or a limit that runs in the same command.

``mevflow bench NAME`` runs one; ``python -m bench.report`` runs all and writes ``docs/benchmarks.md``.
A bench is a module with ``run() -> {"bench", "figures": [{"name", "value", "unit", "against", "ratio"}]}``.
"""
