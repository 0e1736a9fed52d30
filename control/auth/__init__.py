"""Who calls: identities and roles, tokens, certificates, rate limits, TLS."""
