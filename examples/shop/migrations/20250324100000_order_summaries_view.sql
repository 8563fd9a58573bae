-- What the back office shows of an order.
CREATE VIEW order_summaries AS
SELECT
    o.id,
    o.placed_at,
    o.status,
    c.name AS customer,
    count(i.product_id) AS lines,
    o.total
FROM orders o
JOIN customers c ON c.id = o.customer_id
LEFT JOIN order_items i ON i.order_id = o.id
GROUP BY o.id, c.name;

COMMENT ON VIEW order_summaries IS 'One row for each order, with the name of its customer.';
