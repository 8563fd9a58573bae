-- atlas:txmode none

-- Without a transaction and without blocking writers: payments has become the busiest table.
CREATE INDEX CONCURRENTLY IF NOT EXISTS payments_order_id_idx ON payments (order_id);
