"""The journal of an instance: a chain of lines written before and after each write, and the files it lives in."""
