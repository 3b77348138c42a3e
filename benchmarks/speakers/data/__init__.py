"""What is tested and tuned on, made from packages of public registries (docs/quality.md)."""
