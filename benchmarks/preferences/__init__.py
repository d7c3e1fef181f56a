"""What preferences do to a language model: against a rule that can be checked, and against trl."""
