"""Apply: admission of a reviewed plan, revalidation against fresh live state, writing, and the record of it."""
