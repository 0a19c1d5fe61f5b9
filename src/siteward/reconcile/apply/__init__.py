"""Apply: a reviewed plan is admitted, checked against a fresh reading, carried out step by step, and remembered."""
