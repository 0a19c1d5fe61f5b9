"""People from where they are known: exports of directories are read, and become the file that the declaration includes."""
