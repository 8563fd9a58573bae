-- Cents become an amount with two decimals, so that other currencies fit.
ALTER TABLE products DROP CONSTRAINT products_price_not_negative;

ALTER TABLE products RENAME COLUMN price_cents TO price;

ALTER TABLE products ALTER COLUMN price TYPE numeric(12, 2) USING price / 100.0;

ALTER TABLE products ADD CONSTRAINT products_price_not_negative CHECK (price >= 0);

ALTER TABLE order_items RENAME COLUMN unit_price_cents TO unit_price;

ALTER TABLE order_items ALTER COLUMN unit_price TYPE numeric(12, 2) USING unit_price / 100.0;

ALTER TABLE order_items ADD COLUMN line_total numeric(12, 2) GENERATED ALWAYS AS (quantity * unit_price) STORED;
