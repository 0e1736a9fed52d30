"""Stable-swap pools and bins in the market.

- :mod:`.state`: a curve and its rate
- :mod:`.updates`, :mod:`.apply`: what an update says of a curve, and what it changes
- :mod:`.bytes`: curves as bytes
"""
