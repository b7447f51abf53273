"""How an eval becomes spans: ids, spans, the episode's tree, content, redaction."""
