-- From now on the database keeps the total.
CREATE FUNCTION refresh_order_total() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
    changed bigint := coalesce(NEW.order_id, OLD.order_id);
BEGIN
    UPDATE orders
    SET total = coalesce((SELECT sum(line_total) FROM order_items WHERE order_id = changed), 0)
    WHERE id = changed;
    RETURN NULL;
END;
$$;

CREATE TRIGGER order_items_refresh_total
AFTER INSERT OR UPDATE OR DELETE ON order_items
FOR EACH ROW EXECUTE FUNCTION refresh_order_total();
