"""`python -m roomstream` is the `roomstream` command."""

from roomstream.cli import main

main()
