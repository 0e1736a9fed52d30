"""Stable-swap pools and bins in the market.

- :mod:`.updates`, :mod:`.apply`: what an update says of a curve, and what it changes

The curves themselves stand in :mod:`mevflow.operators.detect.book.curves`.
"""
