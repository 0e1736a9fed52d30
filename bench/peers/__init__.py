"""The same job as a user of another framework would write it: a message at a time, with its best settings."""
