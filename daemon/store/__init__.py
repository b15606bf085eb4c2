"""What rebookd remembers: SQLAlchemy Core on SQLite, one file of queries per noun."""
