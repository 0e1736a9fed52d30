"""How much to put into a cycle, and what exactly comes out. The stream's detection and ``mevflow size`` share it.

- :mod:`.legs`: what one swap gives, by kind of curve
- :mod:`.venues`: which rule prices and quotes the pools of which venue
- :mod:`.size`: the best input of a cycle
- :mod:`.peaks`: chains whose gain has several peaks
- :mod:`.refine`: the best in whole units
- :mod:`.parallel`, :mod:`.split`: several pools of one pair as one leg; cycles over such legs
"""
