"""Apply: admission of a reviewed plan, revalidation against fresh live state, writing step by step, and the record of it."""
