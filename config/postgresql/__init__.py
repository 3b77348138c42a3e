"""PostgreSQL as Django has it, for a server whose calls are short: `base` says what differs."""
