"""Plausible: Cloud and Enterprise through the Sites API, Community Edition through its database and web forms."""
