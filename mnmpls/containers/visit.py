"""A command of the container, run in its guest: docker/inside calls this."""

from __future__ import annotations

import sys

from ..errors import MnmplsError
from ..guests import run_in_lab
from .own_kernel import LAB


def main() -> int:
    try:
        return run_in_lab(LAB, sys.argv[1:], writes=False)
    except MnmplsError as error:
        print(f"mnmpls: {error}", file=sys.stderr)
        return 125


if __name__ == "__main__":
    sys.exit(main())
