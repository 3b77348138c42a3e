"""How long jobs wait with 1 to 1,000 workers: `python -m benchmarks.scheduling`.

The claims are those of the service, against a real PostgreSQL whose clock the simulation sets. How
long a recording's work takes was recorded from real jobs. What a claim and a heartbeat cost is
measured in the same run, with many of them side by side.
"""
