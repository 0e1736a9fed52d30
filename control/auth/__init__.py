"""Who calls: tokens, certificates, rate limits, TLS."""
