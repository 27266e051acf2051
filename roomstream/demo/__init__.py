"""
The whole loop on one machine: broker, base release, workers, trainer, traffic, people, releases.

Nothing in it is simulated but the people: workers and trainer are the processes that run in
production, started by the same command.
"""

from roomstream.demo.options import DemoOptions
from roomstream.demo.run import run_demo

__all__ = ["DemoOptions", "run_demo"]
