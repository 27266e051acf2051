"""`python -m bench.learning`; the processes that it starts import this, and need nothing of it."""

if __name__ == "__main__":
    from bench.learning.command import main

    main()
