"""Stable and crypto curves.

- :mod:`.invariant`, :mod:`.swap`, :mod:`.metapool`: Curve
- :mod:`.tricrypto`, :mod:`.tricrypto_math`: Curve tricrypto
- :mod:`.saber`: Saber
- :mod:`.solidly`: stable pools of Aerodrome and Velodrome
"""
