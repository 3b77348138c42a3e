"""`python -m separation`."""

import os
import sys

# Worker threads that spin while they wait take the core that another process needs. It has to be
# said before PyTorch starts its threads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from separation.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
