-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY orders_status ON orders (status);

-- +goose Down
DROP INDEX CONCURRENTLY orders_status;
