-- Who asks "when was it shipped?" gets an answer.
CREATE TABLE order_status_changes (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id   bigint       NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    old_status order_status,
    new_status order_status NOT NULL,
    changed_at timestamptz  NOT NULL DEFAULT now()
);

CREATE INDEX order_status_changes_order_id_idx ON order_status_changes (order_id);

INSERT INTO order_status_changes (order_id, new_status, changed_at)
SELECT id, status, placed_at FROM orders ORDER BY id;

CREATE FUNCTION record_order_status() RETURNS trigger
LANGUAGE plpgsql
AS $body$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO order_status_changes (order_id, new_status) VALUES (NEW.id, NEW.status);
    ELSE
        INSERT INTO order_status_changes (order_id, old_status, new_status) VALUES (NEW.id, OLD.status, NEW.status);
    END IF;
    RETURN NULL;
END;
$body$;

CREATE TRIGGER orders_record_first_status
AFTER INSERT ON orders
FOR EACH ROW EXECUTE FUNCTION record_order_status();

CREATE TRIGGER orders_record_status
AFTER UPDATE OF status ON orders
FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION record_order_status();
