"""A page to drop X-rays on, and the same as an HTTP interface: ``mlrfnet serve``.

A request is received whole in memory (``uploads``), takes one of a fixed number of places, and is
answered by the one thread that has the network (``worker``, ``answers``). ``guard`` is around all:
who may ask, and what browsers are told. Needs the extra ``serve``.
"""
