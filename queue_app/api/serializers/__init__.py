"""Request bodies, parameters and answers. Their class names are the names of the schema."""
