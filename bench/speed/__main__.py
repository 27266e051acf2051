"""`python -m bench.speed`."""

from bench.speed.command import main

if __name__ == "__main__":
    main()
