"""Smoke tests of what runs (``lab``), those of the stream among them (``streams``)."""
