-- The summary shows the coupon and what was really paid.
CREATE OR REPLACE VIEW order_summaries AS
SELECT
    o.id,
    o.placed_at,
    o.status,
    c.full_name AS customer,
    count(i.product_id) AS lines,
    o.total,
    k.code AS coupon,
    (SELECT coalesce(sum(p.amount), 0) FROM payments p WHERE p.order_id = o.id AND p.refunded_at IS NULL) AS paid
FROM orders o
JOIN customers c ON c.id = o.customer_id
LEFT JOIN order_items i ON i.order_id = o.id
LEFT JOIN coupons k ON k.id = o.coupon_id
GROUP BY o.id, c.full_name, k.code;
