-- Stock is the sum of its movements; one partition for each year.
CREATE TABLE stock_movements (
    id         bigint GENERATED ALWAYS AS IDENTITY,
    product_id bigint      NOT NULL REFERENCES products (id),
    order_id   bigint      REFERENCES orders (id),
    quantity   integer     NOT NULL CHECK (quantity <> 0),
    moved_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, moved_at)
) PARTITION BY RANGE (moved_at);

CREATE TABLE stock_movements_2024 PARTITION OF stock_movements
FOR VALUES FROM ('2024-01-01 00:00:00+00') TO ('2025-01-01 00:00:00+00');

CREATE TABLE stock_movements_2025 PARTITION OF stock_movements
FOR VALUES FROM ('2025-01-01 00:00:00+00') TO ('2026-01-01 00:00:00+00');

CREATE TABLE stock_movements_later PARTITION OF stock_movements DEFAULT;

CREATE INDEX stock_movements_product_id_idx ON stock_movements (product_id, moved_at);

INSERT INTO stock_movements (product_id, quantity, moved_at)
SELECT id, 1000, timestamptz '2024-01-02 06:00:00+00' FROM products ORDER BY id;

INSERT INTO stock_movements (product_id, order_id, quantity, moved_at)
SELECT i.product_id, o.id, -i.quantity, o.placed_at + interval '2 days'
FROM orders o
JOIN order_items i ON i.order_id = o.id
WHERE o.status IN ('shipped', 'delivered')
ORDER BY o.id, i.product_id;
