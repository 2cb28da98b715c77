"""`python -m snaptune`."""

import sys

from snaptune.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
