"""The spine: from a project to a plan, from a plan to outcomes, with a journal beside."""
