"""Numbered migrations, applied in order by core/store/migrate.py. A file that has landed is never edited."""
