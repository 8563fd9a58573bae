-- In a file, that is a transaction, of its own: PostgreSQL lets a new value be used only after the commit.
ALTER TYPE order_status ADD VALUE IF NOT EXISTS 'refunded' AFTER 'cancelled';
