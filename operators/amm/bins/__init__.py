"""Bins: Meteora DLMM.

- :mod:`.dlmm_math`: prices and fees of bins
- :mod:`.dlmm`: a pair and what a swap does to it
"""
