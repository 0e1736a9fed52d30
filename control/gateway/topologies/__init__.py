"""A topology as a page needs it: its graph with rates, the forms of its commands, a model into it."""
