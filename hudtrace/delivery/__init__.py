"""From ended spans to the store and the exporters, with an account of each."""
