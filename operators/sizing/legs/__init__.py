"""What one swap of a cycle gives, by kind of curve: exactly in integers, and in floats to search by.

- :mod:`mevflow.operators.sizing.legs.leg`: what every leg can do
- :mod:`mevflow.operators.sizing.legs.stretches`: curves made of stretches of constant liquidity
- :mod:`mevflow.operators.sizing.legs.reserves`: constant product (Uniswap v2, Raydium v4 and CPMM)
- :mod:`mevflow.operators.sizing.legs.pump_swap`: constant product with fees of one token (PumpSwap)
- :mod:`mevflow.operators.sizing.legs.concentrated`: ticks (Whirlpool, Raydium CLMM, Uniswap v3)
- :mod:`mevflow.operators.sizing.legs.bins`: Meteora DLMM
- :mod:`mevflow.operators.sizing.legs.stable`: stable-swap (Curve, Saber)
- :mod:`mevflow.operators.sizing.legs.solidly`: x³y + xy³ (stable pools of Aerodrome and Velodrome)
- :mod:`mevflow.operators.sizing.legs.weighted`: weighted products (Balancer v2)
- :mod:`mevflow.operators.sizing.legs.quoted`: whatever can only be quoted (Curve's metapools and tricrypto)
- :mod:`mevflow.operators.sizing.legs.read`: legs from JSON
"""

from mevflow.operators.sizing.legs.bins import BinsLeg
from mevflow.operators.sizing.legs.concentrated import ConcentratedLeg
from mevflow.operators.sizing.legs.leg import Curve, Leg, SmoothLeg, StretchLeg
from mevflow.operators.sizing.legs.pump_swap import PumpSwapLeg
from mevflow.operators.sizing.legs.quoted import MetaLeg, TricryptoLeg
from mevflow.operators.sizing.legs.reserves import ReservesLeg
from mevflow.operators.sizing.legs.solidly import SolidlyLeg
from mevflow.operators.sizing.legs.stable import SaberLeg, StableLeg
from mevflow.operators.sizing.legs.weighted import WeightedLeg

__all__ = [
    "BinsLeg",
    "ConcentratedLeg",
    "Curve",
    "Leg",
    "MetaLeg",
    "PumpSwapLeg",
    "ReservesLeg",
    "SaberLeg",
    "SmoothLeg",
    "SolidlyLeg",
    "StableLeg",
    "StretchLeg",
    "TricryptoLeg",
    "WeightedLeg",
]
