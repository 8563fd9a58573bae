-- The two lists that the back office looks at all day.
CREATE INDEX orders_customer_id_placed_at_idx ON orders (customer_id, placed_at DESC);

CREATE INDEX orders_open_idx ON orders (placed_at) WHERE status IN ('pending', 'paid');
