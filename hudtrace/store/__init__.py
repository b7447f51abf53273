"""The local store: one SQLite file that holds every span, message and verdict."""
