"""An episode as people read it: its conversation, and that as text, page and diff."""
