"""``python -m listen2lab``: the command line."""

from listen2lab.cli import main

if __name__ == "__main__":
    main()
