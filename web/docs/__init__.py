"""The documentation: docs/*.md as pages, for people and for programs."""
