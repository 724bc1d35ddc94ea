"""The `pirta` command line: one file a command group, on top of everything."""
