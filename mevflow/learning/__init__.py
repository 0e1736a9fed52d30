"""Learning around the stream: evaluation of policies on what was logged.

:mod:`.evaluation`: what another policy would have brought, with intervals that hold, or a refusal.
"""
