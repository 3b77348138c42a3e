"""Says where the cache is, for the test of what runs aside."""

import sys
from pathlib import Path

from separation import weights

if __name__ == "__main__":
    sys.stdout.write(f"{Path(weights.cache_dir()).absolute()} {sys.argv[1]}\n")
