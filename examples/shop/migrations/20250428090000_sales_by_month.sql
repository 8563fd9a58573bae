-- Figures for the monthly report; refreshed by night.
CREATE MATERIALIZED VIEW sales_by_month AS
SELECT
    date_trunc('month', o.placed_at AT TIME ZONE 'UTC')::date AS month,
    p.category_id,
    sum(i.quantity) AS pieces,
    sum(i.line_total) AS revenue
FROM orders o
JOIN order_items i ON i.order_id = o.id
JOIN products p ON p.id = i.product_id
WHERE o.status <> 'cancelled'
GROUP BY 1, 2;

CREATE UNIQUE INDEX sales_by_month_key ON sales_by_month (month, category_id);

CREATE FUNCTION refresh_sales_by_month() RETURNS void
LANGUAGE sql
AS $$ REFRESH MATERIALIZED VIEW CONCURRENTLY sales_by_month; $$;
