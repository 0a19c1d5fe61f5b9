"""The pure core: who may do what, where, and what a change of that would mean.

Standard library and msgspec only; no I/O, no clock, no logging. Inside, no modules use one another in a circle.
"""
