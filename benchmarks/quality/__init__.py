"""How well each stem is recovered, beside honest bars and peers: `python -m benchmarks.quality`."""
