"""`python -m separation`."""

import sys

from separation.process import restart_prepared

if __name__ == "__main__":
    if sys.argv[1:2] in (["separate"], ["speakers"], ["enhance"], ["analyse"], ["transcribe"]):
        restart_prepared()
    from separation.cli import main

    sys.exit(main())
