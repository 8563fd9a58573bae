"""What runs next to the database and what it reports: the Job, its containers, and the meaning of their last words. Pure."""
