"""One deployment on many machines: PostgreSQL holds the state, Procrastinate the jobs."""
