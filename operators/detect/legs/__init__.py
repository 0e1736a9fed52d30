"""What one swap of a cycle gives, by kind of curve: exactly in integers, and in floats to search by.

- :mod:`operators.detect.legs.leg`: what every leg can do
- :mod:`operators.detect.legs.stretches`: curves made of stretches of constant liquidity
- :mod:`operators.detect.legs.reserves`: constant product (Uniswap v2, Raydium v4 and CPMM)
- :mod:`operators.detect.legs.concentrated`: ticks (Whirlpool, Raydium CLMM, Uniswap v3)
- :mod:`operators.detect.legs.bins`: Meteora DLMM
- :mod:`operators.detect.legs.stable`: stable-swap (Curve, Saber)
- :mod:`operators.detect.legs.quoted`: whatever can only be quoted (Curve's metapools and tricrypto)
- :mod:`operators.detect.legs.read`: legs from JSON
"""

from operators.detect.legs.bins import BinsLeg
from operators.detect.legs.concentrated import ConcentratedLeg
from operators.detect.legs.leg import Curve, Leg, SmoothLeg, StretchLeg
from operators.detect.legs.quoted import MetaLeg, TricryptoLeg
from operators.detect.legs.reserves import ReservesLeg
from operators.detect.legs.stable import SaberLeg, StableLeg

__all__ = [
    "BinsLeg",
    "ConcentratedLeg",
    "Curve",
    "Leg",
    "MetaLeg",
    "ReservesLeg",
    "SaberLeg",
    "SmoothLeg",
    "StableLeg",
    "StretchLeg",
    "TricryptoLeg",
]
