-- The customers and orders of the shop that this one replaces: 40 customers, 400 orders of 2024, 1 to 3 lines each.
INSERT INTO customers (email, name, phone, created_at)
SELECT
    format('%s.%s@Example.com', initcap(first), n),
    initcap(first) || ' ' || initcap(last),
    CASE WHEN n % 4 = 0 THEN NULL ELSE '+49 30 ' || lpad(n::text, 6, '0') END,
    timestamptz '2024-01-01 08:00:00+00' + n * interval '12 hours'
FROM generate_series(1, 40) AS n
CROSS JOIN LATERAL (
    SELECT
        (ARRAY['ada', 'ben', 'cleo', 'dan', 'edith', 'finn', 'greta', 'hugo'])[1 + n % 8] AS first,
        (ARRAY['auer', 'brandt', 'conti', 'dietz', 'ende'])[1 + n % 5] AS last
) AS names
ORDER BY n;

INSERT INTO orders (customer_id, status, note, placed_at)
SELECT
    c.id,
    (ARRAY['delivered', 'delivered', 'shipped', 'paid', 'delivered', 'cancelled', 'delivered', 'pending'])[1 + n % 8]::order_status,
    CASE WHEN n % 10 = 0 THEN 'Please ring; the bell works' END,
    timestamptz '2024-02-01 10:00:00+00' + n * interval '18 hours'
FROM generate_series(1, 400) AS n
JOIN (SELECT id, row_number() OVER (ORDER BY id) AS position FROM customers) AS c ON c.position = 1 + n * 7 % 40
ORDER BY n;

INSERT INTO order_items (order_id, product_id, quantity, unit_price_cents)
SELECT o.id, p.id, 1 + (o.id + p.id) % 3, p.price_cents
FROM orders o
JOIN products p ON (o.id + p.id * 5) % 12 < 1 + o.id % 3;
