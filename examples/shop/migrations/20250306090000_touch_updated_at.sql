-- updated_at for what people edit.
CREATE FUNCTION touch_updated_at() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END;
$$;

ALTER TABLE customers ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();

ALTER TABLE products ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();

ALTER TABLE orders ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['customers', 'products', 'orders'] LOOP
        EXECUTE format(
            'CREATE TRIGGER %I BEFORE UPDATE ON %I FOR EACH ROW EXECUTE FUNCTION touch_updated_at()',
            name || '_touch_updated_at', name
        );
    END LOOP;
END;
$$;
