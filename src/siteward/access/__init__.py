"""The pure core: who may do what, where, and what a change of that would mean.

The standard library and msgspec only; no I/O, no clock, no logging. Inside, no module reaches itself by imports.
"""
