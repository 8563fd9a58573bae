-- Reads the whole table, but lets everybody write meanwhile.
ALTER TABLE customers VALIDATE CONSTRAINT customers_email_looks_right;
