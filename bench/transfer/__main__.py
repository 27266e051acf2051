"""`python -m bench.transfer`."""

from bench.transfer.command import main

if __name__ == "__main__":
    main()
