"""YAML in: text with places, the grammar of the file, and what it means for one instance."""
