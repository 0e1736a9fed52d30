"""A statement of the caller's own: judged by its text (``statement``) and ClickHouse's tree of it (``tree``), then run.

``tree`` knows ``functions``, what a name stands for (``expansion``) and table functions' columns (``structure``).
"""
