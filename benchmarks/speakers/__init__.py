"""Speaker extraction beside a peer, on recordings whose speakers are known."""
