"""The store on PostgreSQL: the repositories of the store on SQLite, on another database."""
