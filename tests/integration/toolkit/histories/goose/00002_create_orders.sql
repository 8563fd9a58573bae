-- +goose Up
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES customers (id),
    status text NOT NULL DEFAULT 'new'
);
-- +goose StatementBegin
CREATE FUNCTION customer_of(order_id bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT customer_id FROM orders WHERE id = order_id);
END;
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION customer_of;
DROP TABLE orders;
