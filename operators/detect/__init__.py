"""Cyclic arbitrage after every event, in chain order.

``stage`` is the stage. A stretch of merged rows is read into arrays (``events``, ``columns``), run through the compiled
loop (``kernel``: ``rates``, ``worth``, ``screen``) over the flat state of all pools; cycles that screen above zero are
put in canonical form (``cycles``), sized and re-quoted in integers (``sizing``), and become rows (``reporter``,
``episodes``). ``control`` is what an operator may change at run time, ``settings`` the stage's settings and the
registry file.

The state of all pools is the ``market``: a ``book`` of their rows (``pools``) with the cycles through them
(``cycle_index``: ``lists``, ``routes``), the ``mints``, the notes of what can be taken back (``undo``), and the room
for what the loop finds (``screening``). An update that is not at fault (``updates``) is ``applied`` to a pool's row and
its ``ticks``. Pools whose curve does not fit a row are ``curved``: their state is beside the book (``curves``; what
updates say of it: ``curve_updates``; as bytes: ``curve_bytes``). ``market_state`` is all of it in a snapshot.
"""
