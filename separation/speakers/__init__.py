"""Takes a conversation apart: who speaks when, and one clean track for each speaker."""

from separation.speakers.timeline import Timeline, Turn

__all__ = ["Timeline", "Turn"]
