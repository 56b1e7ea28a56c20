"""Archives that departments upload: checked, kept once by their content, handed to runs."""
