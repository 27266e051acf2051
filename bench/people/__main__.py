"""Run the benchmark."""

from bench.people.command import main

if __name__ == "__main__":
    main()
