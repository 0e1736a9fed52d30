"""Looking at what is on a topic: pages of records, filters on decoded columns, one record byte by byte.

- ``schemas``: which message a topic bears, and which there are.
- ``reading``: what of a topic is read, and where that begins.
- ``browse``: a page of records, from an offset, a time, an end or where the last page ended.
- ``tail``: the same as a stream that never ends, with a rate and a count of everything.
- ``look``: which records of a batch pass a filter, and how one is shown.
- ``conditions``: ``field op value``, judged on columns.
- ``anatomy``: a record as a tree whose every node knows its bytes, with or without a schema.
- ``record``: one record with its key and headers.
"""
