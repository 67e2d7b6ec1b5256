"""The command line as `python -m gigafactory`: the service starts its processes this way."""

import sys

from gigafactory.cli import main

if __name__ == "__main__":
    sys.exit(main())
