-- The total is kept with the order: added empty, filled, then required.
ALTER TABLE orders ADD COLUMN total numeric(12, 2);

UPDATE orders o
SET total = coalesce((SELECT sum(i.line_total) FROM order_items i WHERE i.order_id = o.id), 0);

ALTER TABLE orders ALTER COLUMN total SET DEFAULT 0;

ALTER TABLE orders ALTER COLUMN total SET NOT NULL;

ALTER TABLE orders ADD CONSTRAINT orders_total_not_negative CHECK (total >= 0);
