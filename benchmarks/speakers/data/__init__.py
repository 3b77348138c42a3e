"""What is tested and tuned on, of packages of public registries (docs/speaker-quality.md)."""
