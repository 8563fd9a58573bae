-- 2.0: coupons.
CREATE TABLE coupons (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code        text          NOT NULL,
    percent     numeric(4, 1) NOT NULL CHECK (percent > 0 AND percent <= 50),
    customer_id bigint        REFERENCES customers (id) ON DELETE CASCADE,
    valid       tstzrange     NOT NULL DEFAULT tstzrange(now(), NULL)
);

CREATE UNIQUE INDEX coupons_code_idx ON coupons (upper(code));

ALTER TABLE orders ADD COLUMN coupon_id bigint REFERENCES coupons (id);

COMMENT ON COLUMN coupons.customer_id IS 'Only this customer may use it; everybody when empty.';
