"""The sub-commands, a noun a module. What is heavy to import is imported by the command itself."""
