-- What can be bought. Prices are whole cents.
CREATE TABLE categories (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    parent_id bigint REFERENCES categories (id),
    slug      text NOT NULL UNIQUE,
    title     text NOT NULL,
    CONSTRAINT categories_slug_is_lower CHECK (slug = lower(slug)),
    CONSTRAINT categories_not_own_parent CHECK (parent_id <> id)
);

CREATE TABLE products (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    category_id bigint  NOT NULL REFERENCES categories (id),
    sku         text    NOT NULL,
    title       text    NOT NULL,
    description text    NOT NULL DEFAULT '',
    price_cents integer NOT NULL,
    attributes  jsonb   NOT NULL DEFAULT '{}',
    active      boolean NOT NULL DEFAULT true,
    CONSTRAINT products_sku_key UNIQUE (sku),
    CONSTRAINT products_price_not_negative CHECK (price_cents >= 0)
);

CREATE INDEX products_category_id_idx ON products (category_id);

COMMENT ON COLUMN products.attributes IS 'Free properties: {"colour": "green", "weight_g": 300}.';
