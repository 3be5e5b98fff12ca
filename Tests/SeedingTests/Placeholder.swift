// Seeding: how test databases are made.
