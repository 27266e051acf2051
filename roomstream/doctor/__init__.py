"""
`roomstream doctor`: what is wrong with a deployment as seen from this machine, and how to mend it.

Each module looks at one thing and yields findings; `examination` runs them all, within a limit.
"""
