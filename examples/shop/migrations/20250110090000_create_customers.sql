-- The shop begins: who buys.
CREATE TABLE customers (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email      varchar(255) NOT NULL,
    name       varchar(120) NOT NULL,
    phone      varchar(20),
    created_at timestamptz  NOT NULL DEFAULT now()
);

COMMENT ON TABLE customers IS 'People who have an account in the shop.';
