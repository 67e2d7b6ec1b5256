"""Print the tables of docs/explanation/demonstration.md: ``python -m benchmarks.demonstration``."""

from benchmarks.cases.demonstration import main

if __name__ == "__main__":
    main()
