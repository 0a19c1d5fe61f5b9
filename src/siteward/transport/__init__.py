"""HTTP out: readers that cannot write, writers that send a command once, pace, secrets and errors."""
