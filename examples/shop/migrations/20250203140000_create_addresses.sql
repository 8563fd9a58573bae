-- More than one address for each customer, exactly one of them the default.
CREATE TABLE addresses (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint  NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    street      text    NOT NULL,
    postcode    varchar(10) NOT NULL,
    city        text    NOT NULL,
    country     char(2) NOT NULL DEFAULT 'DE',
    is_default  boolean NOT NULL DEFAULT false
);

CREATE UNIQUE INDEX addresses_one_default_idx ON addresses (customer_id) WHERE is_default;

INSERT INTO addresses (customer_id, street, postcode, city, is_default)
SELECT id, 'Lindenstraße ' || id, lpad((10000 + id * 37 % 4000)::text, 5, '0'), 'Berlin', true
FROM customers;

ALTER TABLE orders ADD COLUMN address_id bigint REFERENCES addresses (id);

UPDATE orders o
SET address_id = a.id
FROM addresses a
WHERE a.customer_id = o.customer_id AND a.is_default;
