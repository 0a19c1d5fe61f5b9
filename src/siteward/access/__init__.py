"""The pure core: who may do what, where, and what a change of that would mean.

Standard library only; no I/O, no clock, no logging. Inside, a module uses only those above it:
model, traits, diagnostic, state, change, effective, settle, census, policy, rule, budget, guard, plan, report,
shape, codec.
"""
