"""The pure core: who may do what, where, and what a change of that would mean.

Standard library only; no I/O, no clock, no logging. Inside, a module uses only those above it:
model, traits, diagnostic, terms, state, change, effective, settle, holding, census, policy, budget, rule, admins,
guard, plan, compare, report, shape, codec, review, answer.
"""
