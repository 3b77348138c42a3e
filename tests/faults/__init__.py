"""Jobs under faults: `make faults` orders some hundred short jobs and breaks the service meanwhile.

Not part of the test suite, since it takes minutes and wants the machine for itself. It is a
program of its own: real clusters, a PostgreSQL and, where asked for, a Redis that it can break,
files on a small file system that can be filled, and a receiver of webhooks that can be down.
"""
