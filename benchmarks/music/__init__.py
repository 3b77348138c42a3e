"""How well tempo, key and notes are found, on music whose tempo, key and notes are known."""
