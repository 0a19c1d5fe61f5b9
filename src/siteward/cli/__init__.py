"""The command line: one thin module for each verb, the common options and the exit code."""
