"""Cyclic arbitrage after every event, in chain order.

``stage`` is the stage. A stretch of merged rows is read into arrays (``events``, ``columns``), run through the compiled
loop (``kernel``: ``rates``, ``worth``, ``screen``) over the flat state of all pools (``book``: ``pools``,
``cycle_index``; ``market``); cycles that screen above zero are put in canonical form (``cycles``), sized and re-quoted
in integers (``sizing``), and become rows (``reporter``, ``episodes``). Pools whose curve does not fit a row keep it
beside the book (``curves``; what updates say of it: ``curve_updates``; as bytes: ``curve_bytes``).
``control`` is what an operator may change at run time, ``settings`` the stage's settings and the registry file.
"""
