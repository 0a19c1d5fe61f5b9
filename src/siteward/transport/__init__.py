"""Connections to servers: readers that cannot write, writers that send a command once, pace, credentials, errors."""
