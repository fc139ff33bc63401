"""``python -m nenrin`` is ``nenrin``."""

from nenrin.cli.app import main

if __name__ == "__main__":
    main()
