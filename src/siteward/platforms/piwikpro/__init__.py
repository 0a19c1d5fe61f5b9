"""Piwik PRO: owners, users, groups, apps, meta sites and modules, over the vendor's JSON:API."""
