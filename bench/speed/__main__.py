"""`python -m bench.speed`; the processes that it starts import this, and need nothing of it."""

if __name__ == "__main__":
    from bench.speed.command import main

    main()
