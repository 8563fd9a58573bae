-- Reporting reads, and no more. Roles belong to the server, not to this database: another shop may have made it already.
DO $$
BEGIN
    CREATE ROLE shop_reporting NOLOGIN;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN
        RAISE NOTICE 'role shop_reporting is there already';
END;
$$;

GRANT USAGE ON SCHEMA public TO shop_reporting;

GRANT SELECT ON order_summaries, sales_by_month, products, categories TO shop_reporting;

GRANT SELECT (id, created_at) ON customers TO shop_reporting;
