"""The declaration: YAML files read with places, checked by the grammar, and resolved for one instance."""
