"""Speed, memory and quality of the engine beside the `demucs` package: `make bench`.

Everything that is compared runs in the same run, in turns, each in a process of its own.
"""
