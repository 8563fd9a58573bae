-- One account for each address, however it is written.
UPDATE customers SET email = lower(trim(email)) WHERE email <> lower(trim(email));

CREATE UNIQUE INDEX customers_email_lower_idx ON customers (lower(email));
