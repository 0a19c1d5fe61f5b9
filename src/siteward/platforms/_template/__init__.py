"""The smallest platform: copy this folder and change it file by file (docs/add-a-platform.md).

Its server is made up, but everything here works: the tests copy the folder, rename it, and run the laws on it.
"""
