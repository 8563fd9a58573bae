-- New rows are checked from now on; old ones in the next file, so that this lock is held for a moment only.
ALTER TABLE customers
ADD CONSTRAINT customers_email_looks_right CHECK (email ~ '^[^@[:space:]]+@[^@[:space:]]+$') NOT VALID;
