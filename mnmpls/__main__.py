"""``python3 -m mnmpls``."""

import sys

from mnmpls.cli import main

if __name__ == "__main__":
    sys.exit(main())
