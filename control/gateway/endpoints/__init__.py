"""Endpoints that are functions of what is asked (``endpoint``), a file for each subject; ``catalogue`` has them all."""
