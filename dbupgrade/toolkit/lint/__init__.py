"""What in a migration breaks production, and the safer way. Importing it loads the parser."""
