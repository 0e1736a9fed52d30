"""What is between the socket and a call: bounds before anybody is known, origin, session, identity, refusals.

``protocol`` bounds what comes in, ``carry`` makes a caller of it, ``leash`` bounds what goes out; ``pages`` and
``login`` are all that answers without a call.
"""
