"""The one durable memory; all SQL is here."""
