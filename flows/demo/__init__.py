"""The main job on the recorded days: ``mevflow demo`` and ``make run``.

- :mod:`.main_job`: services, topics, recorded days, ``detect-live``, and everything down again
- :mod:`.report`: what the run came to, read back from ClickHouse
"""
